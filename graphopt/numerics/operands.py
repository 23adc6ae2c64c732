"""What operators ask of the values of their inputs.

One entry per operator and input position: a function of the use, returning the `Domain`, or None where the shapes
that it depends on are unknown. Positions without an entry take anything that their dtype can hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from graphopt.ir.values import constant
from graphopt.numerics.feeds import Between, Choice, Domain, Fixed, Index, NonZero, Positive

if TYPE_CHECKING:
    import numpy as np

    from graphopt.ir.types import Node, Tensor


class Known(Protocol):
    """What is known of tensors when feeds are drawn (`graphopt.analysis.shapes.Shapes` is one)."""

    def static(self, tensor: Tensor) -> tuple[int, ...] | None:
        """The shape, if every dimension is a number."""

    def known(self, tensor: Tensor) -> np.ndarray[Any, Any] | None:
        """The values, if all of them are known."""


class Use(NamedTuple):
    """A tensor as an operand of a node; `tensor` is the operand itself."""

    node: Node
    tensor: Tensor
    shapes: Known

    def attr(self, name: str, default: Any) -> Any:
        """An attribute of the node."""
        return self.node.attrs.get(name, default)

    def input(self, position: int) -> tuple[int, ...] | None:
        """The shape of an input; None if unknown or omitted."""
        inputs = self.node.inputs
        return self.shapes.static(inputs[position]) if position < len(inputs) and inputs[position].name else None

    def output(self, position: int = 0) -> tuple[int, ...] | None:
        """The shape of an output; None if unknown or omitted."""
        outputs = self.node.outputs
        return self.shapes.static(outputs[position]) if position < len(outputs) and outputs[position].name else None

    def dim(self, position: int, axis: int) -> int | None:
        """One dimension of an input."""
        shape = self.input(position)
        return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None

    def values(self, position: int) -> np.ndarray[Any, Any] | None:
        """The values of an input in a row; None if unknown or omitted."""
        inputs = self.node.inputs
        if position >= len(inputs) or not inputs[position].name:
            return None
        known = self.shapes.known(inputs[position])
        return None if known is None else known.reshape(-1)

    def size(self) -> int:
        """The number of elements of the operand; 1 if unknown."""
        return math.prod(self.shapes.static(self.tensor) or ())


Rule = Callable[[Use], Domain | None]


# ------------------------------------------------------------------------------------------- kinds of rule


def _always(domain: Domain) -> Rule:
    return lambda _: domain


def _indices(data: int, axis: int = 0) -> Rule:
    """Positions along the axis of input `data` that the attribute `axis` names."""

    def rule(use: Use) -> Domain | None:
        upper = use.dim(data, use.attr("axis", axis))
        return None if upper is None else Index(upper, signed=True)

    return rule


def _rows(table: int, axis: int = 0) -> Rule:
    """Positions along an axis of input `table`, never counted from its end."""

    def rule(use: Use) -> Domain | None:
        upper = use.dim(table, axis)
        return None if upper is None else Index(upper)

    return rule


def _lengths(data: int, axis: int) -> Rule:
    """Lengths from 1 to the dimension of input `data`."""

    def rule(use: Use) -> Domain | None:
        longest = use.dim(data, axis)
        return None if longest is None else Between(1, max(longest, 1))

    return rule


def _as_output(otherwise: Domain) -> Rule:
    """The shape of the output, if it is known."""

    def rule(use: Use) -> Domain:
        shape = use.output()
        return otherwise if shape is None or len(shape) != use.size() else Fixed(shape)

    return rule


# ----------------------------------------------------------------------------------------- rules of one use


def _tuple_indices(use: Use) -> Domain | None:
    """Index tuples of GatherND and ScatterND: each entry addresses another axis, so the shortest counts."""
    data, indices = use.input(0), use.input(1)
    if data is None or not indices:
        return None
    first = use.attr("batch_dims", 0)
    return Index(min(data[first : first + indices[-1]], default=1), signed=True)


def _one_hot_indices(use: Use) -> Domain | None:
    depth = use.values(1)
    upper = _at(use.output(), use.attr("axis", -1)) if depth is None else int(depth[0])
    return None if upper is None else Index(upper, signed=True)


def _one_hot_depth(use: Use) -> Domain:
    return Fixed((_at(use.output(), use.attr("axis", -1)) or 4,))


def _target(use: Use) -> Domain:
    """The shape of the output, or all elements along the first axis."""
    shape = use.output()
    return Fixed((-1, *(1 for _ in range(use.size() - 1))) if shape is None or len(shape) != use.size() else shape)


def _repeats(use: Use) -> Domain:
    data, result = use.input(0), use.output()
    if data is None or result is None or len(data) != len(result):
        return Between(1, 2)
    return Fixed(tuple(new // old if old else 1 for old, new in zip(data, result, strict=True)))


def _slice_ends(use: Use) -> Domain | None:
    """Where slices of the output's size end that start at 0 and go in steps of 1."""
    result = use.output()
    axes = use.values(_SLICE_AXES)
    if result is None or (axes is None and use.input(_SLICE_AXES) is not None):
        return _FEW
    chosen = range(use.size()) if axes is None else axes.tolist()
    return Fixed(tuple(result[axis] for axis in chosen))


def _padding(use: Use) -> Domain | None:
    """All that the output has more than the input, at the ends."""
    data, result = use.input(0), use.output()
    if data is None or result is None or use.size() != 2 * len(data):
        return Between(0, 2)
    return Fixed((*(0 for _ in data), *(new - old for old, new in zip(data, result, strict=True))))


def _split_sizes(use: Use) -> Domain | None:
    sizes = [_at(use.output(i), use.attr("axis", 0)) for i in range(len(use.node.outputs))]
    return None if None in sizes else Fixed(tuple(sizes))


def _resize_scales(use: Use) -> Domain | None:
    data, result = use.input(0), use.output()
    if data is None or result is None or len(data) != use.size():
        return Between(1, 2)
    return Fixed(tuple(new / old if old else 1.0 for old, new in zip(data, result, strict=True)))


def _range_limit(use: Use) -> Domain:
    """The number of elements, for a Range from 0 in steps of 1."""
    return Fixed((_at(use.output(), 0) or 5,))


def _top_k(use: Use) -> Domain | None:
    axis = use.attr("axis", -1)
    k = _at(use.output(), axis)
    k = _at(use.input(0), axis) if k is None else k
    return None if k is None else Fixed((max(k, 1),))


def _axes(use: Use) -> Domain | None:
    data = use.input(0)
    return None if data is None else Index(len(data), signed=True)


def _exponent_base(use: Use) -> Domain | None:
    """A base above zero, unless the exponent is known to be a whole number."""
    exponent = constant(use.node.inputs[1])
    if exponent is None or exponent.size != 1 or exponent.dtype.kind not in "fiu":
        return Positive()
    value = float(exponent.values.reshape(())[()])
    return None if value.is_integer() and value > 0 else Positive()


def _keys(use: Use) -> Domain | None:
    """What a LabelEncoder or an encoder of categories knows."""
    for name in _KEY_ATTRIBUTES:
        held = use.attr(name, None)
        if isinstance(held, list) and held:
            return Choice(tuple(held))
    return None


def _flattened(use: Use) -> Domain | None:
    """Positions in the whole output, as MaxUnpool counts them."""
    shape = use.output()
    return None if shape is None else Index(max(math.prod(shape), 1))


def _mask(use: Use) -> Domain | None:
    """A padding mask of com.microsoft's attention: 0 and 1, or for a vector, lengths."""
    shape, tokens = use.shapes.static(use.tensor), use.dim(0, 1)
    if shape is None or tokens is None:
        return None
    return Between(1, max(tokens, 1)) if len(shape) == 1 else Index(2)


def _cached_tokens(use: Use) -> Domain | None:
    """seqlens_k of GroupQueryAttention: tokens so far, less one, all of them in every row."""
    total = use.values(_TOTAL_TOKENS)
    tokens = use.dim(0, 1) if total is None else int(total[0])
    return None if tokens is None else Fixed((max(tokens - 1, 0),))


def _total_tokens(use: Use) -> Domain | None:
    past, tokens = use.dim(3, 2), use.dim(0, 1)
    return None if tokens is None else Fixed((tokens + (past or 0),))


def _at(shape: tuple[int, ...] | None, axis: int) -> int | None:
    return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None


_SLICE_AXES = 3
_TOTAL_TOKENS = 6
_KEY_ATTRIBUTES = ("keys_int64s", "keys_strings", "keys_floats", "cats_int64s", "cats_strings")

_UNIT, _SIGNED_UNIT, _FEW = Between(0, 1), Between(-1, 1), Between(1, 3)
_ZERO, _ONE, _OFF = Fixed((0,)), Fixed((1,)), Fixed((False,))
_REDUCTIONS = (
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin"),
    *("ReduceProd", "ReduceSum", "ReduceSumSquare"),
)
_QUANTIZED_BINARY = ("QLinearAdd", "QLinearMul")
_QUANTIZED_UNARY = (
    "QLinearSigmoid",
    "QLinearLeakyRelu",
    "QLinearAveragePool",
    "QLinearGlobalAveragePool",
    "QLinearSoftmax",
)


def _at_positions(positions: tuple[int, ...], domain: Domain) -> dict[int, Rule]:
    return dict.fromkeys(positions, _always(domain))


MASKING = 1e3
"""A number of this size, added to scores, hides them."""


def _complement(use: Use) -> Domain | None:
    """A mask x of zeros and ones where (1 - x) is made a large negative number, which then is added to scores."""
    one = constant(use.node.inputs[0])
    if one is None or one.size != 1 or float(one.values.reshape(())) != 1:
        return None
    for reader in use.node.outputs[0].outputs:
        numbers = [held for tensor in reader.inputs if (held := constant(tensor)) is not None and held.size == 1]
        if reader.op == "Mul" and any(float(held.values.reshape(())) <= -MASKING for held in numbers):
            return Choice((0, 1))
    return None


_STANDARD: dict[str, dict[int, Rule]] = {
    # positions
    "Gather": {1: _indices(0)},
    "GatherElements": {1: _indices(0)},
    "GatherND": {1: _tuple_indices},
    "Scatter": {1: _indices(0)},
    "ScatterElements": {1: _indices(0)},
    "ScatterND": {1: _tuple_indices},
    "TensorScatter": {2: _always(_ZERO)},
    "OneHot": {0: _one_hot_indices, 1: _one_hot_depth},
    "MaxUnpool": {1: _flattened, 2: _as_output(_ONE)},
    "NegativeLogLikelihoodLoss": {1: _rows(0, 1)},
    "SoftmaxCrossEntropyLoss": {1: _rows(0, 1)},
    "RotaryEmbedding": {1: _always(_SIGNED_UNIT), 2: _always(_SIGNED_UNIT), 3: _rows(1)},
    "RoiAlign": {1: _always(Between(0, 4)), 2: _rows(0)},
    "SequenceAt": {1: _always(_ZERO)},
    "SequenceErase": {1: _always(_ZERO)},
    "SequenceInsert": {2: _always(_ZERO)},
    # sizes
    "Reshape": {1: _target},
    "Expand": {1: _as_output(_ONE)},
    "ConstantOfShape": {0: _as_output(_FEW)},
    "CenterCropPad": {1: _always(_FEW)},
    "AffineGrid": {1: _always(_FEW)},
    "Tile": {1: _repeats},
    "Slice": {1: _always(_ZERO), 2: _slice_ends, 4: _always(_ONE)},
    "Pad": {1: _padding},
    "Split": {1: _split_sizes},
    "Resize": {1: _always(_UNIT), 2: _resize_scales, 3: _as_output(_FEW)},
    "Upsample": {1: _resize_scales},
    "Range": {0: _always(_ZERO), 1: _range_limit, 2: _always(_ONE)},
    "TopK": {1: _top_k},
    "Trilu": {1: _always(Between(-2, 2))},
    "CumSum": {1: _axes},
    "CumProd": {1: _axes},
    "Unsqueeze": {1: _axes},
    "DFT": {1: _always(_FEW)},
    "STFT": {1: _always(_FEW), 3: _always(_FEW)},
    "HannWindow": {0: _always(Between(2, 16))},
    "HammingWindow": {0: _always(Between(2, 16))},
    "BlackmanWindow": {0: _always(Between(2, 16))},
    "Loop": {0: _always(_FEW), 1: _always(Fixed((True,)))},
    "RNN": {4: _lengths(0, 0)},
    "GRU": {4: _lengths(0, 0)},
    "LSTM": {4: _lengths(0, 0)},
    "ReverseSequence": {1: lambda use: _lengths(0, use.attr("time_axis", 0))(use)},
    "NonMaxSuppression": {2: _always(_FEW), 3: _always(_UNIT), 4: _always(_UNIT)},
    "Attention": {6: _lengths(1, -2)},
    # signs and ranges
    "Log": {0: _always(Positive())},
    "Sqrt": {0: _always(Positive())},
    "Sub": {1: _complement},
    "Reciprocal": {0: _always(NonZero())},
    "Div": {1: _always(NonZero())},
    "Mod": {1: _always(NonZero())},
    "Pow": {0: _exponent_base},
    "BatchNormalization": {4: _always(Positive())},
    "Acos": {0: _always(_SIGNED_UNIT)},
    "Asin": {0: _always(_SIGNED_UNIT)},
    "Atanh": {0: _always(Between(-0.96875, 0.96875))},
    "Acosh": {0: _always(Between(1, 8))},
    "Bernoulli": {0: _always(_UNIT)},
    "BitShift": {1: _always(Between(0, 7))},
    "Clip": {1: _always(Between(-2, -1)), 2: _always(_FEW)},
    "Dropout": {1: _always(_UNIT), 2: _always(_OFF)},
    "GridSample": {1: _always(_SIGNED_UNIT)},
    "QuantizeLinear": {1: _always(Positive())},
    "DequantizeLinear": {1: _always(Positive())},
    "QLinearConv": _at_positions((1, 4, 6), Positive()),
    "QLinearMatMul": _at_positions((1, 4, 6), Positive()),
    **{op: {1: _axes} for op in _REDUCTIONS},
}

_MICROSOFT: dict[str, dict[int, Rule]] = {
    "Attention": {3: _mask},
    "MultiHeadAttention": {4: _mask},
    "GroupQueryAttention": {5: _cached_tokens, 6: _total_tokens, 7: _always(_SIGNED_UNIT), 8: _always(_SIGNED_UNIT)},
    "EmbedLayerNormalization": {0: _rows(2), 1: _rows(4), 7: _always(Index(2)), 8: _rows(3)},
    "RotaryEmbedding": {1: _rows(2), 2: _always(_SIGNED_UNIT), 3: _always(_SIGNED_UNIT)},
    "GatherBlockQuantized": {1: lambda use: _rows(0, use.attr("gather_axis", 0))(use), 2: _always(Positive())},
    "GatherND": {1: _tuple_indices},
    "QuantizeLinear": {1: _always(Positive())},
    "DequantizeLinear": {1: _always(Positive())},
    "MatMulNBits": {2: _always(Positive())},
    "MatMulIntegerToFloat": _at_positions((2, 3), Positive()),
    "DynamicQuantizeMatMul": {2: _always(Positive())},
    "QAttention": {3: _always(Positive()), 4: _always(Positive()), 5: _mask},
    **{op: _at_positions((1, 4, 6), Positive()) for op in _QUANTIZED_BINARY},
    **{op: _at_positions((1, 3), Positive()) for op in _QUANTIZED_UNARY},
}

_CLASSICAL: dict[str, dict[int, Rule]] = {
    "ArrayFeatureExtractor": {1: _rows(0, -1)},
    "CategoryMapper": {0: _keys},
    "LabelEncoder": {0: _keys},
    "OneHotEncoder": {0: _keys},
}

OPERANDS: dict[tuple[str, str], dict[int, Rule]] = {
    (domain, op): positions
    for domain, table in (("", _STANDARD), ("com.microsoft", _MICROSOFT), ("ai.onnx.ml", _CLASSICAL))
    for op, positions in table.items()
}
"""(domain, operator) to input position to what is asked of it."""
