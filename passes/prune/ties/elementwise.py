"""Operators that work on each element, with broadcasting; poolings and normalisations that work on each channel."""

from __future__ import annotations

from passes.prune.ties.call import Call, aligned, spelled, ties

UNARY = (
    *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Bernoulli", "BitwiseNot", "Cast", "CastLike", "Ceil"),
    *("Celu", "Clip", "Cos", "Cosh", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish"),
    *("Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu"),
    *("Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh"),
    *("ThresholdedRelu", "com.microsoft.Gelu", "com.microsoft.QuickGelu"),
)
BROADCAST = (
    *("Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "GreaterOrEqual"),
    *("Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor"),
    *("com.microsoft.BiasGelu", "com.microsoft.FastGelu"),
)


@ties(*UNARY)
def unary(call: Call) -> None:
    """Every axis of each output is that of the first input."""
    for made in call.outputs:
        if made.name:
            for site, other in zip(call.axes(call.x), call.axes(made), strict=True):
                call.sites.tie(site, other)


@ties(*BROADCAST)
def broadcast(call: Call) -> None:
    """Axes are aligned at the end."""
    aligned(call, range(len(call.inputs)))


spelled("nc*,c,c,c,c->nc*", "BatchNormalization", why="")
spelled("nc*,c,c->nc*", "InstanceNormalization", why="{op} averages over it")
POOLS = ("AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool")
spelled("nc*->nc*,nc*", *POOLS, why="{op} works along it")
