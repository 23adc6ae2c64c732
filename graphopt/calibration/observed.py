"""Values of a tensor as they stream by: their edges, exactly, and a bounded random sample of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from graphopt.calibration.probe import HEAD, NUMBER
from graphopt.ir.types import Array

TAIL = 16
"""Values that stand for those beyond the ends of a sample."""
SMOOTHING = 0.9
"""How much of a moving average a batch leaves as it was."""


@dataclass(frozen=True)
class Sample:
    """Sorted values, float64, and how many each of them stands for.

    sums: with what is added to the values before all below zero is cut off; None where that does not happen.
    """

    values: Array
    weights: Array
    sums: Array | None = None

    def __getitem__(self, places: slice | Array) -> Sample:
        return Sample(self.values[places], self.weights[places], None if self.sums is None else self.sums[places])

    def thinned(self, most: int) -> Sample:
        """About `most` values that stand for all, ever closer to each other towards either end."""
        count = len(self.values)
        if count <= most:
            return self
        places = _spread(count, most)
        sums = np.add.reduceat(self.weights, places)
        return replace(self[places], weights=sums)


@lru_cache(maxsize=16)
def _spread(count: int, most: int) -> Array:
    """About `most` places of `count`: half of them evenly, the others closer to each other towards either end."""
    steps = np.geomspace(1, count, most // 4) - 1
    return np.unique(np.concatenate([np.linspace(0, count - 1, most // 2), steps, count - 1 - steps]).astype(int))


class Observed:
    """What has been seen of one tensor.

    low, high: of all values; low > high where there was none. moving: the averages of low and high of the batches,
    each batch weighing a tenth, the earlier ones less and less. batches: how many had values. most: values of a batch.
    seen: values of all batches. finite: no NaN and no infinity was among them, nor are the sums of batches infinite.
    added: what is added to the values that are held. memo: what follows from all that, for as long as nothing is added.
    Of tensors of one shape, with equal `rng`, the same elements are drawn.
    """

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        self.low, self.high = float("inf"), float("-inf")
        self.moving = (0.0, 0.0)
        self.batches, self.finite = 0, True
        self.most = self.seen = 0.0
        self.memo: dict[Hashable, Any] = {}
        self._rng = rng
        self._held = np.empty(capacity, np.float32)
        self._offered = 0
        self.added: Array | None = None

    def add(self, digests: Array) -> None:
        """Take in what a batch gave: (..., HEAD + draws), a digest for each time that the tensor was computed."""
        rows = digests.reshape(-1, digests.shape[-1])
        rows = rows[rows[:, NUMBER] > 0]
        if not len(rows):
            return
        self.memo.clear()
        lows, highs, numbers, totals = rows[:, :HEAD].T.tolist()
        low, high = min(lows), max(highs)
        self.finite = self.finite and all(map(math.isfinite, totals))
        keep = SMOOTHING if self.batches else 0.0
        self.moving = (keep * self.moving[0] + (1 - keep) * low, keep * self.moving[1] + (1 - keep) * high)
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.batches += 1
        self.most = max(self.most, number := sum(numbers))
        self.seen += number
        if rows.shape[1] > HEAD:
            self._offer(rows[:, HEAD:].reshape(-1))

    def _offer(self, values: Array) -> None:
        """Keep each value offered so far with the same probability (Vitter's algorithm R, for many at once)."""
        room = max(0, len(self._held) - self._offered)
        self._held[self._offered : self._offered + len(values[:room])] = values[:room]
        if len(late := values[room:]):
            seen = self._offered + room + 1 + np.arange(len(late))
            place = (self._rng.random(len(late)) * seen).astype(np.int64)
            chosen = place < len(self._held)
            self._held[place[chosen]] = late[chosen]
        self._offered += len(values)

    def added_to(self, other: Observed) -> Observed:
        """The same, whose sample knows what `other` adds to its values; itself, where that has other elements."""
        if (self.seen, self._offered) != (other.seen, other._offered):
            return self
        key = "added", other
        if key not in self.memo:
            self.memo[key] = self._with(other._held)
        found: Observed = self.memo[key]
        return found

    def _with(self, added: Array) -> Observed:
        made = copy.copy(self)
        made.memo, made.added = {}, added
        return made

    @property
    def sample(self) -> Sample:
        """Values drawn from all that were seen, with what is known of those beyond."""
        if "sample" not in self.memo:
            self.memo["sample"] = self._sample()
        found: Sample = self.memo["sample"]
        return found

    def _sample(self) -> Sample:
        held = self._held[: self._offered]
        values = np.sort(held).astype(np.float64)
        rarest = min(1.0, len(values) / max(self.seen, 1.0))
        below, lighter = _tail(-values[0], -self.low, rarest)
        above, light = _tail(values[-1], self.high, rarest)
        weights = np.concatenate([lighter[::-1], np.ones(len(values)), light])
        sample = Sample(np.concatenate([-below[::-1], values, above]), weights)
        if self.added is None:
            return sample
        added = np.pad(self.added[held.argsort()], (len(below), len(above)), mode="edge")
        return replace(sample, sums=sample.values + added)


def _tail(last: float, edge: float, rarest: float) -> tuple[Array, Array]:
    """Values beyond the last of a sample, as far as the edge of everything, and what they weigh.

    Of a value of the sample's weight, one lies beyond, on the average; of that which weighs `rarest`, at the edge. In
    between the numbers fall off exponentially.
    """
    if not edge > last:
        return np.empty(0), np.empty(0)
    places = np.linspace(0, 1, TAIL + 1)
    return last + (edge - last) * places[1:], -np.diff(rarest**places)
