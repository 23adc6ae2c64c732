"""Writing a view with other dimensions: which Split, Reshape, Transpose and Reshape that takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from passes.attention.axes import Axis, Dimension, View, leaves, product

if TYPE_CHECKING:
    from graphopt.analysis.symbolic import Scalar
    from graphopt.ir.types import Tensor
    from graphopt.rewrite import Builder

BY_INPUT = 13
"""The first opset in which Split and Unsqueeze take lengths and axes as inputs."""
Wanted = Sequence[Sequence[Axis]]


class Step(NamedTuple):
    """One operator, and what it is told: axis, piece, number and width of pieces; lengths; or an order."""

    op: str
    argument: tuple[int, ...]


def steps(view: View, wanted: Wanted) -> tuple[Step, ...] | None:
    """The fewest operators that give the tensor of `view` the dimensions `wanted`; None where none do."""
    cut = _cut(view)
    if cut is None:
        return None
    first, dims = cut
    goal = [leaves(dim) for dim in wanted]
    if list(dims) == goal:
        return first
    have, want = [axis for dim in dims for axis in dim], [axis for dim in goal for axis in dim]
    if {*have} != {*want} or len(have) != len(want):
        return None
    moved = _moved(dims, goal, have, want)
    return None if moved is None else (*first, *moved)


def _moved(
    dims: Sequence[Dimension], goal: Sequence[Dimension], have: list[Axis], want: list[Axis]
) -> tuple[Step, ...] | None:
    """Reshape, Transpose and Reshape, without those that change nothing. Axes that stay together are one unit."""
    at = {axis: index for index, axis in enumerate(have)}
    units: list[list[Axis]] = []
    for axis in want:
        together = bool(units) and at[units[-1][-1]] + 1 == at[axis]
        units[-1].append(axis) if together else units.append([axis])
    units.sort(key=lambda unit: at[unit[0]])
    order = sorted(range(len(units)), key=lambda index: want.index(units[index][0]))
    made: list[Step] = []
    shape = [product(dim) for dim in dims]
    if order != sorted(order):
        if [list(dim) for dim in dims] != units:
            lengths = [product(unit) for unit in units]
            if not _reshape(made, shape, lengths):
                return None
            shape = lengths
        made.append(Step("Transpose", tuple(order)))
        shape = [shape[index] for index in order]
        dims = [tuple(units[index]) for index in order]
    if list(dims) != list(goal) and not _reshape(made, shape, [product(dim) for dim in goal]):
        return None
    return tuple(made)


def _reshape(made: list[Step], old: Sequence[Scalar], new: Sequence[Scalar]) -> bool:
    """Add an Unsqueeze where that is enough, or a Reshape; whether its target can be told."""
    inserted = tuple(range(len(new) - len(old)))
    if inserted and list(new) == [1] * len(inserted) + list(old):
        made.append(Step("Unsqueeze", inserted))
        return True
    lengths = _target(old, new)
    if lengths is not None:
        made.append(Step("Reshape", lengths))
    return lengths is not None


def _cut(view: View) -> tuple[tuple[Step, ...], tuple[Dimension, ...]] | None:
    """The Split that leaves the one index that is meant of an axis, if there is one, and the dimensions after it."""
    dims = list(view.leaves)
    meant = [(at, axis) for at, dim in enumerate(dims) for axis in dim if axis.index is not None]
    if not meant:
        return (), tuple(dims)
    at, axis = meant[0]
    width = product(dims[at][1:])
    if len(meant) > 1 or dims[at][0] is not axis or not isinstance(width, int) or not isinstance(axis.size, int):
        return None
    dims[at] = dims[at][1:]
    return (Step("Split", (at, axis.index or 0, axis.size, width)),), tuple(dims)


def _target(old: Sequence[Scalar], new: Sequence[Scalar]) -> tuple[int, ...] | None:
    """Lengths for a Reshape: numbers, 0 for the length at the same place before, and at most one -1."""
    lengths = [
        size if isinstance(size, int) else 0 if at < len(old) and old[at] == size else -1 for at, size in enumerate(new)
    ]
    written = all(size != 0 for size in (*old, *new))
    return tuple(lengths) if written and lengths.count(-1) <= 1 else None


class Layout:
    """Writes steps on a tape, for a model of an opset; what several operands are cut from is split once."""

    def __init__(self, new: Builder, opset: int) -> None:
        self.new, self.opset = new, opset
        self._splits: dict[tuple[Tensor, int], Any] = {}

    def write(self, tensor: Tensor, way: Sequence[Step]) -> Tensor:
        """The tensor after the steps."""
        for step in way:
            if step.op == "Split":
                axis, piece, count, width = step.argument
                tensor = self._split(tensor, axis, count, width)[piece]
            elif step.op == "Reshape":
                tensor = self.new.Reshape(tensor, np.array(step.argument, np.int64))
            elif step.op == "Unsqueeze":
                tensor = unsqueezed(self.new, tensor, step.argument, self.opset)
            else:
                tensor = self.new.Transpose(tensor, perm=list(step.argument))
        return tensor

    def _split(self, tensor: Tensor, axis: int, count: int, width: int) -> Any:
        key = (tensor, axis)
        if key not in self._splits:
            if self.opset >= BY_INPUT:
                made = self.new.node("Split", tensor, np.full(count, width, np.int64), axis=axis, outputs=count)
            else:
                made = self.new.node("Split", tensor, split=[width] * count, axis=axis, outputs=count)
            self._splits[key] = made
        return self._splits[key]


def unsqueezed(new: Builder, tensor: Tensor, axes: Sequence[int], opset: int) -> Tensor:
    """The tensor with axes of length 1 inserted."""
    if opset >= BY_INPUT:
        return new.Unsqueeze(tensor, np.array(axes, np.int64))
    return new.Unsqueeze(tensor, axes=list(axes))
