"""Weights one behind the other: nothing is read or copied before they are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphopt.ir.storage import frozen, loaded
from graphopt.ir.types import Array, Constant, Stored


class Joined(Stored):
    """What `Concat` makes of constants along an axis that all of them have, of one dtype with elements of whole bytes.

    sources: the constants; it holds what they hold now.
    """

    def __init__(self, sources: Sequence[Constant], axis: int) -> None:
        self.sources, self.axis = tuple(sources), axis % len(sources[0].shape)
        self._parts = tuple(source.stored for source in sources)
        shape = list(sources[0].shape)
        shape[self.axis] = sum(source.shape[self.axis] for source in sources)
        super().__init__(tuple(shape), sources[0].dtype, sum(source.nbytes for source in sources))

    def load(self) -> Array:
        """The array, read-only; the memory in which its parts were looked at is given back."""
        array = np.concatenate([loaded(part) for part in self._parts], axis=self.axis)
        for part in self._parts:
            if isinstance(part, Stored):
                part.release()
        return frozen(array)
