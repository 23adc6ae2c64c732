"""Sites, the axes of tensors, and what is said about them: which indices live and die together, and what pins them.

A site is (tensor, axis); a node may have sites of its own, for what is no axis of any tensor (the heads of an
attention). Sites are numbered as somebody first asks; axes of size one or of a free size are no sites.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from graphopt.ir.types import Array, Node, Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphopt.analysis.shapes import Shapes

FREE, ONE = -1, -2
"""What stands for an axis that is no site: one of free or unknown size, one with a single index."""

BESIDE = {
    0: "it meets an axis of another size",
    FREE: "it meets an axis whose size is not known",
    ONE: "it meets a single index",
}
"""Why a site stays that belongs together with what is no site of its size."""

Ints = Array
"""Integers: indices, labels, numbers of sites."""


@dataclass(frozen=True)
class Pin:
    """Why the indices of a site stay. place: the tensor and its axis, in words."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(eq=False)
class Sites:
    """All sites of a model, and what was said about them so far.

    sizes, owners: of each site, the number of indices, and the tensor (or node) with the axis.
    same: pairs of sites whose equal indices belong together. indexed: pairs with the indices that do.
    pins: of each pinned site, its number, the indices (None: all), the reason, and whether it is soft.
    marks: sites with what their indices are in a network, where an operator tells.
    avoided: sites along which Reshapes are cut only if nothing else can be.
    """

    shapes: Shapes
    sizes: list[int] = field(default_factory=list)
    owners: list[tuple[Tensor | Node, int]] = field(default_factory=list)
    same: list[tuple[int, int]] = field(default_factory=list)
    indexed: list[tuple[int, Ints, int, Ints]] = field(default_factory=list)
    pins: list[tuple[int, Ints | None, str, bool]] = field(default_factory=list)
    marks: list[tuple[int, str]] = field(default_factory=list)
    avoided: list[int] = field(default_factory=list)
    _known: dict[Any, tuple[int, ...] | None] = field(default_factory=dict)

    def of(self, tensor: Tensor) -> tuple[int, ...] | None:
        """The site of each axis, or FREE or ONE; None if the rank is unknown."""
        try:
            return self._known[tensor]
        except KeyError:
            dims = self.shapes.dims(tensor)
            found = None if dims is None else tuple(self._new(tensor, axis, dim) for axis, dim in enumerate(dims))
            self._known[tensor] = found
            return found

    def known(self, tensor: Tensor) -> tuple[int, ...]:
        """As `of`, but nothing is numbered: () for a tensor that nobody asked for."""
        return self._known.get(tensor) or ()

    def inner(self, node: Node, size: int) -> int:
        """A new site of the node's own."""
        return self._new(node, 0, size)

    def _new(self, owner: Tensor | Node, axis: int, dim: Any) -> int:
        if not isinstance(dim, int) or dim < 1:
            return FREE
        if dim == 1:
            return ONE
        self.sizes.append(dim)
        self.owners.append((owner, axis))
        return len(self.sizes) - 1

    def tie(self, left: int, right: int) -> None:
        """Equal indices of two sites belong together; a site that stands beside an axis of another size is pinned."""
        if left >= 0 and right >= 0 and self.sizes[left] == self.sizes[right]:
            self.same.append((left, right))
            return
        self.pin(left, BESIDE[min(right, 0)])
        self.pin(right, BESIDE[min(left, 0)])

    def tie_at(self, left: int, left_index: Ints, right: int, right_index: Ints) -> None:
        """left_index[k] of one site belongs together with right_index[k] of the other, for all k.

        Raises LookupError for an index that a site does not have.
        """
        for site, index in ((left, left_index), (right, right_index)):
            if site >= 0 and len(index) and not 0 <= index.min() <= index.max() < self.sizes[site]:
                raise LookupError(f"{self.label(site)} has no index {index.max()}")
        if left >= 0 and right >= 0:
            self.indexed.append((left, left_index, right, right_index))
            return
        self.pin(left, BESIDE[min(right, 0)], left_index)
        self.pin(right, BESIDE[min(left, 0)], right_index)

    def pin(self, site: int, reason: str, index: Ints | None = None, *, soft: bool = False) -> None:
        """The indices (None: all) of a site stay. soft: they could go, but what is left would change."""
        if site >= 0:
            self.pins.append((site, index, reason, soft))

    def avoid(self, site: int) -> None:
        """Rather cut a Reshape along another digit than this site."""
        if site >= 0:
            self.avoided.append(site)

    def mark(self, site: int, kind: str) -> None:
        """Say what the indices of a site are in a network."""
        if site >= 0:
            self.marks.append((site, kind))

    def label(self, site: int) -> str:
        """The site in words."""
        owner, axis = self.owners[site]
        if isinstance(owner, Node):
            return f"{owner.op} {owner.name or owner.outputs[0].name}"
        return f"{owner.name} axis {axis}"


def components(count: int, left: Ints, right: Ints) -> Ints:
    """The connected components of a graph with `count` vertices and the edges left[k] - right[k].

    Returns for each vertex the smallest vertex of its component. Labels are hooked to smaller ones and shortened by
    pointer jumping (Shiloach and Vishkin, 1982): O(log count) rounds of vector operations.
    """
    parent = np.arange(count)
    while True:
        roots = parent[left], parent[right]
        low, high = np.minimum(*roots), np.maximum(*roots)
        apart = low < high
        if not apart.any():
            return parent
        left, right = left[apart], right[apart]
        np.minimum.at(parent, high[apart], low[apart])
        while True:
            shorter = parent[parent]
            if np.array_equal(shorter, parent):
                break
            parent = shorter


def pairs(edges: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
    """Edges as two arrays."""
    array = np.array(edges, np.int64).reshape(-1, 2)
    return array[:, 0], array[:, 1]
