"""Pieces of a tensor, cut out and put together again in another order."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Exact, Match, Rest, op, rule
from graphopt.ir.types import Array, Node, Tensor

LARGEST = 1 << 16
"""Indices that are written down."""
AXES = 3
"""Which input of Slice holds the axes."""

pieces = Rest("pieces")
joined = op.Concat(pieces)


@rule(joined, numerics=Exact(), opset=10)
def rolled(m: Match, new: Builder) -> Tensor:
    """Slices of one tensor, joined along the axis in which they were cut, are one lookup: one copy instead of two."""
    slices = [tensor.producer for tensor in m[pieces]]
    cuts = [node for node in slices if node is not None and node.op == "Slice" and not node.domain]
    m.require(len(cuts) > 1 and len(cuts) == len(slices), "not everything that is joined is a Slice")
    source = cuts[0].inputs[0]
    m.require(all(node.inputs[0] is source for node in cuts), "pieces of several tensors are joined")
    m.require(not any(_used(m, node) for node in cuts), "a piece is used elsewhere too")
    shape = m.shape(source) or ()
    axis = int(m.attr(joined, "axis", 0)) % (len(shape) or 1)
    length = shape[axis] if shape else None
    if not isinstance(length, int):
        m.refuse("the length of the axis is unknown")
    indices = np.concatenate([_cut(m, node, axis, length, len(shape)) for node in cuts])
    m.require(indices.size <= LARGEST, "the axis is long")
    m.rely_on(cuts)
    return new.Gather(source, indices, axis=axis)


def _used(m: Match, node: Node) -> bool:
    tensor = node.outputs[0]
    return set(tensor.outputs) != {m.root} or m.is_output(tensor)


def _cut(m: Match, node: Node, axis: int, length: int, rank: int) -> Array:
    """The indices, of that many along the axis, that a Slice cuts out. Raises Refused."""
    given = [m.known(tensor) if tensor.name else None for tensor in node.inputs[1:]]
    given += [np.array([number]) for number in (axis, 1)][len(given) - 2 :]
    start, end, along, step = given
    if start is None or end is None or along is None or step is None:
        m.refuse("where a piece begins or ends is unknown")
    m.require([int(one) % rank for one in along] == [axis] and step[0], "a piece is cut along another axis")
    m.require(len(node.inputs) > AXES or rank == 1, "a piece is cut along another axis")
    return np.arange(length)[int(start[0]) : int(end[0]) : int(step[0])]
