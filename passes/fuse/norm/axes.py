"""What the guards of these rules have in common: the axes of reductions, and the shapes of scales and biases."""

from __future__ import annotations

import math

import numpy as np

from graphopt.ir.types import Array, Dim, Node, Tensor
from graphopt.rewrite import Builder, Const, Match, Value
from graphopt.rewrite.pattern import Node as Call

AXES_ARE_INPUTS = 18
"""The first opset in which every reduction takes its axes as an input."""
SOFTMAX_AXIS = 13
"""The first opset in which Softmax goes over one axis alone."""
SPATIAL = 2
"""The first spatial axis: those before it are the batch and the channels."""
MANY = 4096
"""Elements that a new constant may have, and that a sum of squares may add."""


def casts(m: Match, x: Value, outer: Call) -> None:
    """Require that the match widens `x` to float32 and that its cast `outer` narrows to the dtype of `x` again."""
    inner = {m.dtype(node.outputs[0]) for node in m.nodes if node.op == "Cast" and node is not m[outer]}
    m.require(inner == {np.dtype(np.float32)}, "the statistics are not computed in float32")
    m.require(m.dtype(outer) == m.dtype(x), "the result has another dtype than x")


def axes(m: Match, x: Value) -> tuple[int, ...]:
    """The axes of `x`, sorted and counted from 0, over which every reduction of the match goes, keeping dimensions.

    Raises Refused where they are unknown, or not the same everywhere.
    """
    reductions = [node for node in m.nodes if node.op.startswith("Reduce")]
    found = {axes_of(m, node, m.rank(x) or 0) for node in reductions}
    m.require(len(found) == 1, "the reductions go over different axes")
    m.require(all(node.attrs.get("keepdims", 1) for node in reductions), "a reduction drops its dimensions")
    return found.pop()


def axes_of(m: Match, node: Node, rank: int) -> tuple[int, ...]:
    """The axes of one reduction of something with `rank` dimensions, sorted and counted from 0. Raises Refused."""
    given = node.attrs.get("axes")
    if given is None and len(node.inputs) > 1 and node.inputs[1].name:
        known = m.known(node.inputs[1])
        if known is None:
            m.refuse(f"the axes of {node!r} are unknown")
        given = known.reshape(-1)
    if not rank:
        m.refuse(f"what {node!r} reduces has no dimensions, or unknown many")
    if given is None or len(given) == 0:
        m.require(not node.attrs.get("noop_with_empty_axes", 0), f"{node!r} reduces nothing")
        return tuple(range(rank))
    return tuple(sorted({int(axis) % rank for axis in given}))


def keeps_shape(m: Match, x: Value) -> tuple[Dim, ...]:
    """The shape of `x`, which the result surely has too: nothing in the match broadcasts it. Raises Refused."""
    shape = m.shape(x)
    m.require(shape is not None, f"the shape of {m.tensor(x).name} is unknown")
    m.require(shape == m.shape(m.root.outputs[0]), f"the result has not the shape of {m.tensor(x).name}")
    return shape or ()


def one_axis(m: Match, x: Value) -> int:
    """The one axis of `x` over which every reduction of the match goes, as Softmax takes it. Raises Refused."""
    over = axes(m, x)
    rank = len(keeps_shape(m, x))
    m.require(len(over) == 1, "the sum goes over several axes")
    last = over[0] == rank - 1
    m.require(last or m.opset >= SOFTMAX_AXIS, f"before opset {SOFTMAX_AXIS} the axis of Softmax includes all after it")
    return over[0]


def last(m: Match, x: Value) -> tuple[Dim, ...]:
    """The last dimensions of `x`, those over which every reduction of the match goes. Raises Refused for others."""
    over = axes(m, x)
    shape = keeps_shape(m, x)
    m.require(over == tuple(range(len(shape) - len(over), len(shape))), "the mean does not go over the last axes")
    return shape[len(shape) - len(over) :]


def ones(m: Match, dims: tuple[Dim, ...]) -> Array:
    """The factor that an operator must have and the match does not. Raises Refused if it would be large, or unknown."""
    sizes = [dim for dim in dims if isinstance(dim, int)]
    small = len(sizes) == len(dims) and math.prod(sizes) <= MANY
    m.require(small, f"without a scale it needs a constant of ones, of a known shape and at most {MANY} elements")
    return np.ones(sizes)


def channels(m: Match, x: Value) -> int:
    """How many channels (axis 1) `x` has. Raises Refused where it has none, or their number is unknown."""
    shape = m.shape(x) or ()
    count = shape[1] if len(shape) > SPATIAL else None
    if not isinstance(count, int):
        m.refuse("the number of channels is unknown")
    return count


def per_channel(m: Match, part: Const, x: Value) -> Array:
    """A constant with one number for each channel of `x`, as a vector. Raises Refused for any other constant."""
    values, count = m.array(m.tensor(part)), channels(m, x)
    column = (count, *(1 for _ in range(SPATIAL, m.rank(x) or 0)))
    extra = values.ndim - len(column)
    fits = extra >= 0 and values.shape[extra:] == column and values.size == count
    m.require(fits, f"{m.tensor(part).name} has not one number for each channel")
    return values.reshape(-1)


def operand(m: Match, part: Value, dims: tuple[Dim, ...]) -> Tensor | Array:
    """A factor or summand that has exactly the dimensions `dims`; those of size 1 before them are cut off a constant.

    Raises Refused for any other shape.
    """
    tensor, shape = m.tensor(part), m.shape(part)
    if shape == dims and None not in dims:
        return tensor
    extra = 0 if shape is None else len(shape) - len(dims)
    fits = shape is not None and extra > 0 and all(dim == 1 for dim in shape[:extra]) and shape[extra:] == dims
    m.require(fits, f"{tensor.name} has not the shape of the normalised dimensions")
    values = m.array(tensor)
    return values.reshape(values.shape[extra:])


def reduction(m: Match, new: Builder, name: str, x: Value) -> Tensor:
    """The reduction `name` of `x` in place of the one reduction of the match, over the same few elements.

    Few, because ONNX Runtime's sums of squares add one by one, and lose a rounding error for each thousand elements
    or so; the sum that they replace does not. Raises Refused.
    """
    node, shape = next(node for node in m.nodes if node.op.startswith("Reduce")), m.shape(x) or ()
    over = axes_of(m, node, len(shape))
    sizes = [dim for axis in over if isinstance(dim := shape[axis], int)]
    m.require(
        len(sizes) == len(over) and math.prod(sizes) <= MANY, f"it sums more than {MANY} squares, or unknown many"
    )
    keepdims = node.attrs.get("keepdims")
    rank = len(shape) if keepdims in (None, 1) else len(shape) - len(over)
    m.require(len(m.shape(m.root.outputs[0]) or ()) == rank, "a constant gives the result more dimensions")
    by_input = m.opset >= AXES_ARE_INPUTS
    operands = [m[x], np.array(over, np.int64)] if by_input else [m[x]]
    result: Tensor = new.node(name, *operands, axes=None if by_input else list(over), keepdims=keepdims)
    return result
