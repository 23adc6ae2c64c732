"""Operators that compute each element of the result from one element of each operand, and products of matrices."""

from __future__ import annotations

from graphopt.ir.types import MATRIX
from graphopt.ir.values import constant
from passes.layout.axes import Axes, Call, Change, Turned, keeping, operators
from passes.layout.orders import Letters, identity

BROADCAST_SINCE = 7
SMOOTH = 4
"""Rounding errors between elements that a vector unit and scalar code compute."""
SIGN = 1
"""For operators that give 0 or -0, which are equal, by how their operands broadcast."""
PRODUCT = 16

EXACT = (
    "Abs", "Add", "And", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "Ceil",
    "Div", "Equal", "Floor", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "IsInf",
    "IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Neg", "Not", "Or",
    "PRelu", "Reciprocal", "Relu", "Round", "Shrink", "Sign", "Sqrt", "Sub", "Sum", "ThresholdedRelu", "Where",
    "Xor",
)  # fmt: skip
ROUNDED = (
    "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Gelu",
    "Log", "Mish", "Pow", "Selu", "Sigmoid", "Sin", "Sinh", "Softplus", "Softsign", "Swish", "Tan", "Tanh",
    "com.microsoft.Gelu", "com.microsoft.QuickGelu",
)  # fmt: skip
ZEROS = ("Max", "Min", "Where")
FIRST_ONLY = ("CastLike", "Clip", "Dropout")
"""Operators whose other operands are single numbers, or not looked at."""


@operators(*EXACT, *ROUNDED)
def elementwise(call: Call) -> Axes | None:
    """Every axis of an operand is the axis of the result that it is aligned with."""
    rank = call.rank(call.node.outputs[0])
    if rank is None or (call.opset < BROADCAST_SINCE and "broadcast" in call.node.attrs):
        return None
    inputs: list[Letters | None] = []
    for tensor in call.node.inputs:
        own = call.rank(tensor)
        if own is None or own > rank:
            return None
        width = rank if constant(tensor) is not None else own  # a constant can be given axes of length 1
        inputs.append(None if call.one_element(tensor) else identity(rank)[rank - width :])

    def retune(turned: Turned) -> Change | None:
        result = turned.result()
        aligned = all(held is None or held == result[rank - len(held) :] for held in turned.inputs)
        return Change() if aligned else None

    error = SMOOTH if call.node.op in ROUNDED or call.node.domain else SIGN if call.node.op in ZEROS else 0
    return Axes(tuple(inputs), (identity(rank),), identity(rank), retune, error)


@operators(*FIRST_ONLY)
def first_only(call: Call) -> Axes | None:
    """The result has the axes of the first operand."""
    rank = call.rank(call.node.inputs[0])
    if rank is None or any(tensor.name for tensor in call.node.outputs[1:]):
        return None
    others = (None,) * (len(call.node.inputs) - 1)
    return Axes((identity(rank), *others), (identity(rank), *(None,) * (len(call.node.outputs) - 1)), identity(rank))


@operators("MatMul")
def matmul(call: Call) -> Axes | None:
    """Stacks of matrices may be stacked in another way; with one matrix on the right, rows are a stack too."""
    a, b = (call.rank(tensor) for tensor in call.node.inputs)
    if a is None or b is None or a < MATRIX or b < MATRIX:
        return None
    if b == MATRIX:
        return Axes((identity(a), None), (identity(a),), identity(a), keeping(a - 1), PRODUCT)
    if a != b:
        return None
    stack = identity(a - MATRIX)
    m, k, n = a - 2, a - 1, a
    left, right, result = (*stack, m, k), (*stack, k, n), (*stack, m, n)

    def retune(turned: Turned) -> Change | None:
        pairs = zip((left, right, result), (*turned.inputs, *turned.outputs), strict=True)
        return Change() if all(new is not None and new[-2:] == old[-2:] for old, new in pairs) else None

    return Axes((left, right), (result,), (*stack, m, k, n), retune, PRODUCT)
