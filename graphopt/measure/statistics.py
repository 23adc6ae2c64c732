"""What repeated timings on a busy machine say, and what they do not.

A machine that does other things disturbs measurements in bursts, and a process is a little faster or slower for all
its life by where its memory happens to lie. So models are timed side by side in short turns of a few runs, in several
processes, one after another. A turn counts by its fastest run, the one that was disturbed least. Each process gives
one number for each model: the median over its rounds of the logarithm of how much longer the turn of the model took
than that of the first model. Bursts hit both turns of a round or are outvoted, and the processes are independent.

The interval of the ratio is that of the Wilcoxon signed-rank test (Hodges and Lehmann, Estimates of location based on
rank tests, 1963): of all means of two of the numbers, the middle one is the estimate, and the outermost ones, less as
many at each end as the exact distribution of the statistic allows, are the ends. It supposes no distribution, only
that a number is as likely to err upwards as downwards, which for two equal models in random order is true by symmetry.

One process that goes wild takes part in many of these means, and up to 15 processes it can carry an end away. The
interval of the sign test, between two of the numbers themselves, leaves it out, but is wider where none goes wild.
From 13 processes on the result is what both intervals have in common, each with half the risk of missing the ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.numerics.values import Array

CONFIDENCE = 0.99
"""Of the intervals that are reported: one in a hundred does not hold the true ratio."""
FEWEST, ENOUGH = 6, 8
"""Numbers of which there is an interval at all, and from which on it has this confidence; between, it has less."""
SEVERAL = 13
"""Numbers from which on the sign test leaves one out at each end."""
FEWEST_P90, FEWEST_P99 = 10, 100
"""Runs from which on these quantiles are more than the longest run."""
DRAWN = 21
"""Quantiles by which a distribution is drawn."""


@dataclass(frozen=True)
class Latency:
    """Of one model: quantiles and mean of the seconds of `runs` runs. None where the runs are too few to tell.

    percentiles: the quantiles 0, 0.05, 0.1 and so on up to 1, to draw how the runs are distributed.
    """

    p50: float
    p90: float | None
    p99: float | None
    mean: float
    runs: int
    percentiles: tuple[float, ...]


@dataclass(frozen=True)
class Ratio:
    """How many times as long as another something takes, and between which numbers this lies with `confidence`.

    low is 0 and high infinite where the measurements are too few for an interval.
    """

    value: float
    low: float
    high: float
    confidence: float = CONFIDENCE

    @property
    def differs(self) -> bool:
        """Whether there is a difference beyond noise."""
        return not self.low <= 1 <= self.high

    @property
    def inverse(self) -> Ratio:
        """How many times as fast something is as another."""
        return Ratio(1 / self.value, 1 / self.high, 1 / self.low if self.low else math.inf, self.confidence)

    @property
    def width(self) -> float:
        """How far the ends are from each other, as a factor less 1; infinite where there is no interval."""
        return self.high / self.low - 1 if self.low else math.inf


def summary(seconds: Sequence[float] | Array) -> Latency:
    """Quantiles of the durations of at least one run."""
    times = np.asarray(seconds, np.float64)
    p50, p90, p99 = (float(q) for q in np.quantile(times, (0.5, 0.9, 0.99)))
    count = len(times)
    return Latency(
        p50,
        p90 if count >= FEWEST_P90 else None,
        p99 if count >= FEWEST_P99 else None,
        float(times.mean()),
        count,
        tuple(np.quantile(times, np.linspace(0, 1, DRAWN)).tolist()),
    )


def log_ratio(reference: Sequence[float] | Array, other: Sequence[float] | Array) -> float:
    """Median over rounds of the logarithm of other / reference: durations above 0, as many of each."""
    return float(np.median(np.log(np.asarray(other) / np.asarray(reference))))


def ratio(logs: Sequence[float]) -> Ratio:
    """The ratio that the logarithms of at least one independent measurement of it stand for.

    Its confidence is `CONFIDENCE`, or, of 6 or 7 measurements, the highest that so few admit: 31 or 63 in 32 or 64.
    """
    count = len(logs)
    confidence = 1 - 0.5 ** (count - 1) if FEWEST <= count < ENOUGH else CONFIDENCE
    value, low, high = (math.exp(one) for one in centre(logs, confidence))
    return Ratio(value, low, high, confidence)


def centre(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """The centre of a symmetric distribution: estimate and ends of an interval that single wild values do not widen."""
    if len(values) < SEVERAL:
        return signed_rank(values, confidence)
    each = (1 + confidence) / 2
    value, low, high = signed_rank(values, each)
    lowest, highest = signs(values, each)
    both = max(low, lowest), min(high, highest)
    return (value, *both) if both[0] <= value <= both[1] else (value, low, high)


def signs(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of the sign test for the median of a distribution: two of the values, or infinite if too few."""
    count, tail = len(values), (1 - confidence) / 2
    chances = np.cumsum([math.comb(count, k) / 2**count for k in range(count // 2)])
    left_out = int(np.searchsorted(chances, tail * (1 + 1e-9), side="right"))
    if not left_out:
        return -math.inf, math.inf
    row = sorted(values)
    return row[left_out - 1], row[-left_out]


def signed_rank(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """The centre of a symmetric distribution: estimate and ends of the interval, out of independent values.

    The ends are infinite where the values are too few for this confidence: below 6 for 0.95, below 8 for 0.99.
    """
    row = np.asarray(values, np.float64)
    first, second = np.triu_indices(len(row))
    means = np.sort((row[first] + row[second]) / 2)
    left_out = _left_out(len(row), (1 - confidence) / 2)
    if left_out is None:
        return float(np.median(means)), -math.inf, math.inf
    return float(np.median(means)), float(means[left_out]), float(means[-1 - left_out])


def _left_out(count: int, tail: float) -> int | None:
    """The largest k for which the signed-rank statistic of `count` values is at most k with probability at most `tail`.

    None if there is none. The statistic is the sum of those of the numbers 1 to count that are drawn, each with
    probability 1/2.
    """
    chances = np.ones(1)
    for rank in range(1, count + 1):
        longer = np.zeros(len(chances) + rank)
        longer[: len(chances)] += chances / 2
        longer[rank:] += chances / 2
        chances = longer
    allowed = int(np.searchsorted(np.cumsum(chances), tail * (1 + 1e-9), side="right"))
    return allowed - 1 if allowed else None
