"""Values of a tensor as they stream by: their edges, exactly, and a bounded random sample of them."""

from __future__ import annotations

import numpy as np

from graphopt.calibration.probe import HEAD
from graphopt.ir.types import Array

SMOOTHING = 0.9
"""How much of a moving average a batch leaves as it was."""


class Observed:
    """What has been seen of one tensor.

    low, high: of all values; low > high where there was none. moving: the averages of low and high of the batches,
    each batch weighing a tenth, the earlier ones less and less. batches: how many had values. most: of a batch.
    """

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        self.low, self.high = float("inf"), float("-inf")
        self.moving = (0.0, 0.0)
        self.batches = 0
        self.most = 0.0
        self._rng = rng
        self._held = np.empty(capacity, np.float32)
        self._offered = 0

    def add(self, digests: Array) -> None:
        """Take in what a batch gave: (..., HEAD + draws), a digest for each time that the tensor was computed."""
        rows = digests.reshape(-1, digests.shape[-1])
        rows = rows[~(rows[:, 0] > rows[:, 1])]
        if not len(rows):
            return
        low, high = float(rows[:, 0].min()), float(rows[:, 1].max())
        keep = SMOOTHING if self.batches else 0.0
        self.moving = (keep * self.moving[0] + (1 - keep) * low, keep * self.moving[1] + (1 - keep) * high)
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)  # NaN stays
        self.batches += 1
        self.most = max(self.most, float(rows[:, 2].sum()))
        self._offer(rows[:, HEAD:].reshape(-1))

    def _offer(self, values: Array) -> None:
        """Keep each value offered so far with the same probability (Vitter's algorithm R, for many at once)."""
        room = max(0, len(self._held) - self._offered)
        self._held[self._offered : self._offered + len(values[:room])] = values[:room]
        late = values[room:]
        seen = self._offered + room + 1 + np.arange(len(late))
        place = (self._rng.random(len(late)) * seen).astype(np.int64)
        chosen = place < len(self._held)
        self._held[place[chosen]] = late[chosen]
        self._offered += len(values)

    @property
    def sample(self) -> Array:
        """Values drawn from all that were seen, sorted; float32."""
        return np.sort(self._held[: self._offered])

    @property
    def finite(self) -> bool:
        """Whether no NaN and no infinity was among the values, nor among the differences of any two."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))
