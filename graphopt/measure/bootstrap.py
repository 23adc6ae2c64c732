"""How far a score may be off, and whether two scores differ: the paired percentile bootstrap.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 16. Samples are drawn anew, with
replacement, and the score is computed of what was drawn, many times; the interval holds the middle of what comes out.
For a difference every draw is the same for both models, so that what makes a sample hard for both cancels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.ir.types import Array

LEVEL = 0.95
"""The share of draws that an interval holds."""
FEWEST = 6
"""Samples; of fewer even all changing for the better happens by chance more often than in 1 of 20 cases (2 / 2**5)."""


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; low and high are None where there is none (fewer than six samples).

    An interval of no width says that no sample differs from the others, not that none ever would.
    """

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def certain(self) -> bool:
        """Whether the interval excludes zero: for a difference, that it is no noise."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


Score = Callable[[Array, Array], float]
"""(samples, k) and the weights of the samples to a number."""


def estimates(
    kept: Sequence[Array], score: Score, *, resamples: int, seed: int
) -> list[tuple[Estimate, Estimate | None]]:
    """For every model its score and the difference to the score of the first, which itself has none.

    kept: (samples, k) for each model, of the same samples in the same order.
    """
    samples = len(kept[0])
    once = np.ones(samples)
    values = [score(one, once) for one in kept]
    drawn = np.array([[score(one, weights) for one in kept] for weights in _draws(samples, resamples, seed)])
    found: list[tuple[Estimate, Estimate | None]] = []
    for index, value in enumerate(values):
        own = _estimate(value, drawn[:, index] if drawn.size else drawn)
        gap = None
        if index:
            gap = _estimate(_gap(value, values[0]), _gaps(drawn[:, index], drawn[:, 0]) if drawn.size else drawn)
        found.append((own, gap))
    return found


def _draws(samples: int, resamples: int, seed: int) -> Iterator[Array]:
    """How often each sample is drawn, draw by draw; none of fewer than `FEWEST` samples."""
    rng = np.random.default_rng(seed)
    for _ in range(resamples if samples >= FEWEST else 0):
        yield np.bincount(rng.integers(samples, size=samples), minlength=samples).astype(np.float64)


def _estimate(value: float, drawn: Array) -> Estimate:
    """The interval of the percentiles; none where a draw has no score."""
    if not drawn.size or np.isnan(drawn).any() or math.isnan(value):
        return Estimate(value)
    tail = (1 - LEVEL) / 2
    ordered = np.sort(drawn)  # not np.quantile: between two infinities there is no number
    low, high = ordered[round(tail * (drawn.size - 1))], ordered[round((1 - tail) * (drawn.size - 1))]
    return Estimate(value, float(low), float(high))


def _gap(value: float, first: float) -> float:
    """The difference, of equal infinities too."""
    return 0.0 if value == first else value - first


def _gaps(values: Array, first: Array) -> Array:
    return np.subtract(values, first, out=np.zeros_like(values), where=values != first)
