"""Operators on integers with a scale and a zero point."""

from __future__ import annotations

from passes.layout.axes import Axes, Call, Change, Turned, operators
from passes.layout.operators.arithmetic import SMOOTH
from passes.layout.orders import Letters, identity

PER_AXIS = 1
"""Rank of a scale that holds a number for each channel."""


@operators("QuantizeLinear", "DequantizeLinear", "com.microsoft.QuantizeLinear", "com.microsoft.DequantizeLinear")
def quantize(call: Call) -> Axes | None:
    """One scale for all, or one for each place along an axis."""
    rank, scale = call.rank(call.node.inputs[0]), call.node.inputs[1]
    own = call.rank(scale)
    if rank is None or own is None or own > PER_AXIS or call.attr("block_size", 0):
        return None
    inputs = (identity(rank), *(None,) * (len(call.node.inputs) - 1))
    if call.one_element(scale) or not rank:
        return Axes(inputs, (identity(rank),), identity(rank))
    axis = int(call.attr("axis", 1)) % rank

    def retune(turned: Turned) -> Change:
        return Change({"axis": turned.first().index(axis)})

    return Axes(inputs, (identity(rank),), identity(rank), retune)


@operators("DynamicQuantizeLinear")
def dynamic(call: Call) -> Axes | None:
    """Scale and zero point follow from the smallest and largest element, wherever they lie."""
    rank = call.rank(call.node.inputs[0])
    return None if rank is None else Axes((identity(rank),), (identity(rank), None, None), identity(rank))


@operators("com.microsoft.QLinearLeakyRelu", "com.microsoft.QLinearSigmoid")
def unary(call: Call) -> Axes | None:
    """One integer from one integer."""
    rank = call.rank(call.node.inputs[0])
    others: tuple[Letters | None, ...] = (None,) * (len(call.node.inputs) - 1)
    return None if rank is None else Axes((identity(rank), *others), (identity(rank),), identity(rank), error=SMOOTH)


@operators("com.microsoft.QLinearAdd", "com.microsoft.QLinearMul")
def binary(call: Call) -> Axes | None:
    """Two operands with three inputs each; only operands of the rank of the result."""
    ranks = {call.rank(call.node.inputs[index]) for index in (0, 3)} | {call.rank(call.node.outputs[0])}
    rank = next(iter(ranks))
    if len(ranks) > 1 or rank is None:
        return None
    inputs = tuple(identity(rank) if index in (0, 3) else None for index in range(len(call.node.inputs)))
    return Axes(inputs, (identity(rank),), identity(rank))
