"""Types of operators that work element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphopt.analysis.call import Call, types
from graphopt.analysis.order import at_least, equal, members
from graphopt.analysis.symbolic import Expression
from graphopt.analysis.types import Dims, Type
from graphopt.ir import dtypes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphopt.analysis.symbolic import Scalar
    from graphopt.ir.dtypes import DType

BOOL = np.dtype(np.bool_)
PAIR = 2


def broadcast_dim(a: Scalar | None, b: Scalar | None) -> Scalar | None:
    """The dimension of a and b broadcast together: two different unknowns may each be 1."""
    if a is not None and a == b:
        return a
    if a == 1:
        return b
    if b == 1:
        return a
    for dim in (a, b):  # what is surely not 1 prevails
        if dim is not None and (not isinstance(dim, Expression) or equal(dim, 1) is False):
            return dim
    if a is None or b is None:
        return None
    return b if caps(a, b) else a if caps(b, a) else None


def caps(a: Scalar, b: Scalar) -> bool:
    """Whether a is min(b, n) for some n of at least 1: then a == b in every run that broadcasts them."""
    parts = members("min", a)
    return b in parts and all(part == b or at_least(part, 1) for part in parts)


def broadcast(*shapes: Dims | None) -> Dims | None:
    """The shape of tensors of these shapes broadcast together."""
    known = [dims for dims in shapes if dims is not None]
    if len(known) < len(shapes):
        return None
    result = known[0]
    for dims in known[1:]:
        if dims == result and None not in dims:
            continue
        rank = max(len(result), len(dims))
        left = (1,) * (rank - len(result)) + result
        right = (1,) * (rank - len(dims)) + dims
        result = tuple(map(broadcast_dim, left, right))
    return result


def _broadcast_inputs(call: Call) -> Dims | None:
    if not call.since(7) and len(call.types) == PAIR:  # the second input fits the first, at `axis`
        return call.dims(0)
    return broadcast(*(call.dims(i) for i in range(len(call.types))))


def common(found: Iterable[DType | None]) -> DType | None:
    """The first known one of element types that must be equal."""
    return next((dtype for dtype in found if dtype is not None), None)


@types(
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Ceil", "Celu", "Clip", "Cos", "Cosh",
    "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Hardmax", "Identity", "LeakyRelu", "Log",
    "LogSoftmax", "LpNormalization", "LRN", "MeanVarianceNormalization", "Mish", "Neg", "Not", "PRelu", "Reciprocal",
    "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus",
    "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Trilu", "CumSum", "InstanceNormalization",
    "GroupNormalization", "RMSNormalization", "ScatterND", "ScatterElements", "Scatter", "ReverseSequence",
    "TensorScatter", "CumProd", "RotaryEmbedding", "SimplifiedLayerNormalization",
    *(
        f"com.microsoft.{name}" for name in (
            "BiasAdd", "BiasDropout", "BiasGelu", "BiasSoftmax", "FastGelu", "Gelu", "GroupNorm", "MoE",
            "QLinearLeakyRelu",
            "QLinearSigmoid", "QLinearSoftmax", "QMoE", "QuickGelu", "RotaryEmbedding",
        )
    ),
)  # fmt: skip
def like_first(call: Call) -> Type:
    """The output has the type of the first input."""
    return call.type(0)


@types("Add", "Sub", "Mul", "Div", "Mod", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Max", "Min", "Mean", "Sum")
def arithmetic(call: Call) -> Type:
    """All inputs and the output have one element type."""
    return Type(common(call.dtype(i) for i in range(len(call.types))), _broadcast_inputs(call))


@types("Pow", "BitShift")
def typed_by_first(call: Call) -> Type:
    """Inputs broadcast; the first one gives the element type."""
    return Type(call.dtype(0), _broadcast_inputs(call))


@types("And", "Or", "Xor", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")
def comparison(call: Call) -> Type:
    """Inputs broadcast to booleans."""
    return Type(BOOL, _broadcast_inputs(call))


@types("IsNaN", "IsInf")
def test(call: Call) -> Type:
    """A boolean for each element."""
    return Type(BOOL, call.dims(0))


@types("Where")
def where(call: Call) -> Type:
    """Condition and both choices broadcast."""
    return Type(common((call.dtype(1), call.dtype(2))), _broadcast_inputs(call))


@types("Cast")
def cast(call: Call) -> Type | None:
    """The element type is an attribute: a code, or a name before opset 6."""
    target = call.attr("to")
    if isinstance(target, str):
        return None
    return Type(dtypes.numpy_dtype(int(target)), call.dims(0))


@types("CastLike")
def cast_like(call: Call) -> Type:
    """The element type of the second input."""
    return Type(call.dtype(1), call.dims(0))


@types("Dropout")
def dropout(call: Call) -> tuple[Type, Type]:
    """The mask is boolean since opset 10."""
    return call.type(0), Type(BOOL if call.since(10) else call.dtype(0), call.dims(0))


@types("BatchNormalization")
def batch_normalization(call: Call) -> tuple[Type, ...]:
    """Running statistics, where they are outputs, have one element a channel."""
    dims = call.dims(0)
    channels = call.dims(1) or ((dims or ())[1:2] or (None,))
    first = Type(call.dtype(0), dims)
    return (first, *(Type(call.dtype(4), channels) for _ in range(call.outputs - 1)))


@types("LayerNormalization")
def layer_normalization(call: Call) -> tuple[Type, ...]:
    """Mean and inverse deviation keep the dimensions before `axis`."""
    dims = call.dims(0)
    if dims is None:
        return (call.type(0),)
    axis = call.attr("axis", -1) % len(dims)
    kept = dims[:axis] + (1,) * (len(dims) - axis)
    statistics = Type(dtypes.numpy_dtype(call.attr("stash_type", 1)), kept)
    return (call.type(0), statistics, statistics)


@types("QuantizeLinear", "com.microsoft.QuantizeLinear")
def quantize_linear(call: Call) -> Type:
    """The zero point gives the element type, else `output_dtype`, else uint8."""
    if call.has(2):
        return Type(call.dtype(2), call.dims(0))
    code = call.attr("output_dtype", 0)
    return Type(dtypes.numpy_dtype(code) if code else np.dtype(np.uint8), call.dims(0))


@types("DequantizeLinear", "com.microsoft.DequantizeLinear")
def dequantize_linear(call: Call) -> Type:
    """The scale gives the element type, unless `output_dtype` does."""
    code = call.attr("output_dtype", 0)
    return Type(dtypes.numpy_dtype(code) if code else call.dtype(1), call.dims(0))


@types("DynamicQuantizeLinear")
def dynamic_quantize_linear(call: Call) -> tuple[Type, ...]:
    """Quantised tensor, scale and zero point."""
    quantized = np.dtype(np.uint8)
    return Type(quantized, call.dims(0)), Type(np.dtype(np.float32), ()), Type(quantized, ())
