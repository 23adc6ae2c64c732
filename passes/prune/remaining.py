"""What is left along the axes of a model after atoms are gone."""

from __future__ import annotations

import numpy as np

from graphopt.ir.types import Node, Tensor
from passes.prune.grouping import Grouping
from passes.prune.sites import Ints


class Remaining:
    """The axes of the original model with only the atoms that are alive (bool, one for each atom)."""

    def __init__(self, grouping: Grouping, alive: Ints) -> None:
        self.grouping, self.alive = grouping, alive

    def indices(self, tensor: Tensor, axis: int) -> Ints:
        """The original indices that stay. Raises LookupError for an axis without a known size."""
        labels = self.grouping.labels(tensor, axis)
        if labels is None:
            size = self.size(tensor, axis)
            if size is None:
                raise LookupError(f"{tensor.name} has no known size along axis {axis}")
            return np.arange(size)
        return np.flatnonzero(self.alive[labels])

    def size(self, tensor: Tensor, axis: int) -> int | None:
        """How many indices stay; None for an axis of free size."""
        labels = self.grouping.labels(tensor, axis)
        if labels is not None:
            return int(np.count_nonzero(self.alive[labels]))
        dims = self.grouping.shapes.dims(tensor)
        size = None if dims is None else dims[axis]
        return size if isinstance(size, int) else None

    def own(self, node: Node) -> Ints | None:
        """The indices that stay of the node's own site; None if it has none."""
        site = self.grouping.ties.inner.get(node)
        return None if site is None else np.flatnonzero(self.alive[self.grouping.atoms.of(site)])

    def selection(self, tensor: Tensor, axis: int) -> Ints:
        """Of the indices that the axis has today, those that stay."""
        labels = self.grouping.labels(tensor, axis)
        if labels is None:
            raise LookupError(f"{tensor.name} has no site along axis {axis}")
        today = labels[self.grouping.alive[labels]]
        return np.flatnonzero(self.alive[today])
