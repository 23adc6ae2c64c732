"""How a range follows from what was observed of a tensor.

minmax      all values: nothing is cut off.
moving      the averages of the edges of the batches, as observers in training frameworks keep them.
percentile  all but 0.001 % of the values at either end.
entropy     the threshold at which the quantised distribution tells least from the real one: Kullback-Leibler divergence
            of histograms (Migacz, "8-bit inference with TensorRT", 2017), for each side of zero.
mse         the edges that give the least mean squared error of the quantised values, found by shrinking either.
auto        of all these, the one with the least mean squared error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from graphopt.calibration.observed import Observed, Sample
from graphopt.ir.types import Array

Edges = tuple[float, float]
CUT = 1e-5
"""The share of the values that a percentile leaves out at either end."""
BINS = 2048
SHRINKING = tuple(0.96**i for i in range(30))
"""The shares of an edge that are tried: down to 30 %."""
ROUNDS = 2
MOST_VALUES = 1 << 10
"""Values on which errors are measured."""
AUTO = "auto"


@dataclass(frozen=True)
class Steps:
    """What ranges are cut into: levels, equally spaced; symmetric ones around zero."""

    levels: int = 256
    symmetric: bool = False

    def error(self, sample: Sample, edges: Edges) -> float:
        """The mean squared error that quantisation does to values."""
        return float(
            np.average(np.square(self.quantised(sample.values, edges) - sample.values), weights=sample.weights)
        )

    def quantised(self, values: Array, edges: Edges) -> Array:
        """The values after quantisation with a range that is widened to hold zero; zero stays zero."""
        low, high = min(edges[0], 0.0), max(edges[1], 0.0)
        if self.symmetric:
            high = max(-low, high)
            low = -high
        step = (high - low) / (self.levels - 1)
        if step == 0:
            return np.zeros_like(values)
        zero = round(-low / step)
        return np.asarray((np.clip(np.rint(values / step) + zero, 0, self.levels - 1) - zero) * step)


Method = Callable[[Observed, Sample, Steps], Edges]
"""Gives edges from what was observed, a sample of it, and the steps to come."""


def minmax(seen: Observed, sample: Sample, steps: Steps) -> Edges:  # noqa: ARG001 - all methods are called alike
    """All values."""
    return seen.low, seen.high


def moving(seen: Observed, sample: Sample, steps: Steps) -> Edges:  # noqa: ARG001
    """The averages of the edges of batches."""
    return seen.moving


def percentile(seen: Observed, sample: Sample, steps: Steps) -> Edges:  # noqa: ARG001
    """All but the values at either end."""
    low, high = np.interp(np.array([CUT, 1 - CUT]) * sample.weights.sum(), sample.weights.cumsum(), sample.values)
    return float(low), float(high)


def mse(seen: Observed, sample: Sample, steps: Steps) -> Edges:
    """Shrinking the upper edge, then the lower one, and again, while the error sinks."""
    sample, low, high = sample.thinned(MOST_VALUES), seen.low, seen.high
    for _ in range(ROUNDS):
        high = min((seen.high * share for share in SHRINKING), key=lambda edge: steps.error(sample, (low, edge)))
        low = min((seen.low * share for share in SHRINKING), key=lambda edge: steps.error(sample, (edge, high)))
    return low, high


def entropy(seen: Observed, sample: Sample, steps: Steps) -> Edges:
    """Both thresholds by divergence; each side has the levels that its length would have."""
    length = seen.high - seen.low
    edges = []
    for side in (-1, 1):
        held = sample[sample.values * side > 0]
        most = max(0.0, seen.high if side > 0 else -seen.low)
        levels = round(steps.levels / 2 if steps.symmetric else steps.levels * most / length) if length else 0
        worth = len(held.values) and levels > 1
        edges.append(
            side * _threshold(Sample(held.values * side, held.weights), most, levels) if worth else side * most
        )
    return edges[0], edges[1]


METHODS: Mapping[str, Method] = {
    "minmax": minmax,
    "moving": moving,
    "percentile": percentile,
    "entropy": entropy,
    "mse": mse,
}


def edges(seen: Observed, method: str, steps: Steps) -> Edges:
    """The range of a tensor by one of `METHODS`, or the best of them; it lies within what was observed."""
    key = method, steps
    if key not in seen.memo:
        seen.memo[key] = (
            _best(seen, steps) if method == AUTO else _inside(METHODS[method](seen, seen.sample, steps), seen)
        )
    found: Edges = seen.memo[key]
    return found


def _best(seen: Observed, steps: Steps) -> Edges:
    return min((edges(seen, one, steps) for one in METHODS), key=lambda one: steps.error(seen.sample, one))


def _inside(found: Edges, seen: Observed) -> Edges:
    return max(found[0], seen.low), min(found[1], seen.high)


def _threshold(sample: Sample, most: float, levels: int) -> float:
    """Where to cut positive values off: the histogram up to there, its tail put into its last bin, against the same
    merged into `levels` and spread again over the bins that were not empty."""
    counts, borders = np.histogram(sample.values, BINS, (0.0, most), weights=sample.weights)
    ends = np.unique(np.linspace(min(levels, BINS), BINS, len(SHRINKING)).astype(int))
    return float(borders[min(ends, key=lambda end: _divergence(counts, end, levels))])


def _divergence(counts: Array, end: int, levels: int) -> float:
    inside = counts[:end].astype(float)
    real = inside.copy()
    real[-1] += counts[end:].sum()
    level = np.arange(end) * levels // end
    used = inside > 0
    sums, members = np.bincount(level, inside, levels), np.bincount(level, used, levels)
    rough = np.where(used, (sums / np.maximum(members, 1))[level], 0.0)
    both = (real > 0) & (rough > 0)
    p, q = real[both] / real.sum(), rough[both] / max(rough.sum(), 1.0)
    lost = 1.0 - p.sum()  # what only the real one has, in bins that were empty before the tail was added
    return float((p * np.log(p / q)).sum() + lost * np.log(BINS))
