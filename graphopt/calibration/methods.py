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

from collections.abc import Callable, Mapping, Sequence
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
"""Values on which errors are measured to find edges,"""
COMPARED = 1 << 12
"""and to choose between them."""
AUTO = "auto"


@dataclass(frozen=True)
class Steps:
    """What ranges are cut into: levels, equally spaced; symmetric ones around zero."""

    levels: int = 256
    symmetric: bool = False

    def error(self, sample: Sample, edges: Edges) -> float:
        """The mean squared error that quantisation does to values."""
        return float(self.errors(sample, [edges])[0])

    def errors(self, sample: Sample, edges: Sequence[Edges]) -> Array:
        """The same for each of some edges; of sums, where the sample knows them.

        Computed in float32, as shares of the largest value. What is added, s, leaves of an error e before all below
        zero is cut off max(e + s, 0) - max(s, 0), which is max(e + min(s, 0), -max(s, 0)).
        """
        most = max(-sample.values[0], sample.values[-1]) or 1.0
        values = (sample.values / most).astype(np.float32)
        off = self.quantised(values, np.asarray(edges) / most)
        off -= values
        if sample.sums is not None:
            sums = np.clip(sample.sums / most, -2.0, 2.0).astype(np.float32)  # no error is larger
            np.maximum(off + np.minimum(sums, 0.0), -np.maximum(sums, 0.0), out=off)
        weights = (sample.weights / sample.weights.sum()).astype(np.float32)
        found: Array = (np.square(off, out=off) @ weights).astype(np.float64) * most**2
        return found

    def quantised(self, values: Array, edges: Sequence[Edges] | Array) -> Array:
        """The values (count) after quantisation with ranges that are widened to hold zero; zero stays zero.

        Returns (ranges, count), of the type of the values.
        """
        low, high = np.asarray(edges).T
        low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
        if self.symmetric:
            high = np.maximum(-low, high)
            low = -high
        step = (high - low) / (self.levels - 1)
        some = np.where(step > 0, step, 1.0)
        zero = np.rint(-low / some)
        first, last, step = (one[:, None].astype(values.dtype) for one in (-zero, self.levels - 1 - zero, step))
        steps: Array = values / some[:, None].astype(values.dtype)
        np.rint(steps, out=steps)
        np.minimum(np.maximum(steps, first, out=steps), last, out=steps)  # a third of the time of np.clip
        steps *= step
        return steps


Method = Callable[[Observed, Sample, Steps], Edges]
"""Gives edges from what was observed, a sample of it, and the steps to come."""


def minmax(seen: Observed, _sample: Sample, _steps: Steps) -> Edges:
    """All values."""
    return seen.low, seen.high


def moving(seen: Observed, _sample: Sample, _steps: Steps) -> Edges:
    """The averages of the edges of batches."""
    return seen.moving


def percentile(_seen: Observed, sample: Sample, _steps: Steps) -> Edges:
    """All but the values at either end."""
    low, high = np.interp(np.array([CUT, 1 - CUT]) * sample.weights.sum(), sample.weights.cumsum(), sample.values)
    return float(low), float(high)


def mse(seen: Observed, sample: Sample, steps: Steps) -> Edges:
    """Shrinking the upper edge, then the lower one, and again, while the error sinks; an edge at zero stays there."""
    sample, found = sample.thinned(MOST_VALUES), (seen.low, seen.high)
    sides = [side for side, beyond in ((1, seen.high > 0), (0, seen.low < 0)) if beyond]
    for side in sides * ROUNDS if len(sides) > 1 else sides:
        tried = [(found[0], seen.high * share) if side else (seen.low * share, found[1]) for share in SHRINKING]
        found = _least(sample, steps, tried)
    return found


def _least(sample: Sample, steps: Steps, tried: Sequence[Edges]) -> Edges:
    """The edges with the least error, the first of equals."""
    return tried[int(steps.errors(sample, tried).argmin())]


def entropy(seen: Observed, sample: Sample, steps: Steps) -> Edges:
    """Both thresholds by divergence; each side has the levels that its length would have."""
    length = seen.high - seen.low
    edges = []
    for side in (-1, 1):
        held = sample[sample.values * side > 0][::side]
        most = max(0.0, seen.high if side > 0 else -seen.low)
        levels = round(steps.levels / 2 if steps.symmetric else steps.levels * most / length) if length else 0
        worth = held.weights.sum() > 0 and levels > 1
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
    return _least(seen.sample.thinned(COMPARED), steps, [edges(seen, one, steps) for one in METHODS])


def _inside(found: Edges, seen: Observed) -> Edges:
    return max(found[0], seen.low), min(found[1], seen.high)


def _threshold(sample: Sample, most: float, levels: int) -> float:
    """Where to cut positive values off, given in ascending order.

    The histogram up to there, its tail put into its last bin, is compared with the same merged into `levels` and spread
    again over the bins that were not empty.
    """
    borders = np.linspace(0.0, most, BINS + 1)
    places = np.append(np.searchsorted(sample.values, borders[:-1]), len(sample.values))
    sums = _cumulated(sample.weights)[places]
    ends = np.unique(np.linspace(min(levels, BINS), BINS, len(SHRINKING)).astype(int))
    return float(borders[ends[_divergences(sums, ends, levels).argmin()]])


def _divergences(sums: Array, ends: Array, levels: int) -> Array:
    """For each end the divergence between the bins before it and the levels that they are merged into.

    sums: of the bins before each border. The terms p log p are sums over bins, and p log q, as q is the same wherever
    it is not zero in a level, over levels.
    """
    counts, total = np.diff(sums), sums[-1]
    borders = -(-np.arange(levels + 1) * ends[:, None] // levels)
    inside, bins = np.diff(sums[borders]), np.diff(_cumulated(counts > 0)[borders])
    height = np.log(np.where(inside > 0, inside, 1.0) / np.maximum(bins, 1.0))
    before, last = sums[ends], counts[ends - 1]
    tail = np.where(last > 0, total - before, 0.0)
    lost = total - before - tail  # what only the real one has, in a bin that was empty before the tail was added
    real = _cumulated(_terms(counts))[ends] - _terms(last) + _terms(last + tail) - (before + tail) * np.log(total)
    rough = (inside * height).sum(1) + tail * height[:, -1] - (before + tail) * np.log(np.maximum(before, 1.0))
    found: Array = (real - rough + lost * np.log(BINS)) / total
    return found


def _cumulated(values: Array) -> Array:
    """The sums of all before each value, and of all."""
    return np.concatenate([[0.0], values.cumsum()])


def _terms(values: Array) -> Array:
    """Each times its logarithm; 0 of 0."""
    terms: Array = values * np.log(np.where(values > 0, values, 1.0))
    return terms
