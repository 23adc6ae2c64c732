"""What a cut would leave, before it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from passes.prune.grouping import Grouping
from passes.prune.groups import Group
from passes.prune.leaf import leaf
from passes.prune.remaining import Remaining

if TYPE_CHECKING:
    from graphopt.analysis.symbolic import Scalar
    from graphopt.ir.types import Tensor


class Planned:
    """The original model without some atoms of its groups, as far as shapes tell.

    Has the `dims` that `graphopt.analysis.cost.macs` asks for.
    """

    def __init__(self, grouping: Grouping, removed: Mapping[Group, Iterable[int]]) -> None:
        alive = grouping.alive.copy()
        for gone in removed.values():
            alive[np.fromiter(gone, np.int64)] = False
        self.grouping = grouping
        self.left = Remaining(grouping, alive)

    def dims(self, tensor: Tensor) -> tuple[Scalar | None, ...] | None:
        """Dimensions as numbers or expressions, as `Shapes.dims`."""
        held = leaf(tensor)
        tensor = tensor if held is None else self.grouping.ties.matrices.get(held, tensor)
        dims = self.grouping.shapes.dims(tensor)
        if dims is None:
            return None
        sizes = (self.left.size(tensor, axis) for axis in range(len(dims)))
        return tuple(dim if size is None else size for dim, size in zip(dims, sizes, strict=True))

    def parameters(self) -> int:
        """Number of elements of all constants that calls read, each counted once."""
        return sum(self._elements(tensor) for tensor in self.grouping.constants)

    def _elements(self, tensor: Tensor) -> int:
        return prod(dim for dim in self.dims(tensor) or () if isinstance(dim, int))
