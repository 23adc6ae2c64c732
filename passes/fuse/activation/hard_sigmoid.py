"""HardSigmoid: a straight line between 0 and 1."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, Value, rule
from graphopt.ir.types import Tensor
from passes.fuse.activation.pieces import clipped, over
from passes.fuse.guards import number, pointwise, takes

x, slope, offset = Value("x"), Const("slope"), Const("offset")
sixths, line = over(clipped(x + 3.0, 0.0, 6.0), 6.0), clipped(x * slope + offset, 0.0, 1.0)


@rule(sixths | line, numerics=Close(4), opset=6)
def hard_sigmoid(m: Match, new: Builder) -> Tensor:
    """min(max(x + 3, 0), 6) / 6, or min(max(a x + b, 0), 1), is HardSigmoid(x)."""
    takes(m, x, "HardSigmoid")
    pointwise(m, x)
    alpha, beta = (number(m, slope), number(m, offset)) if slope in m else (1 / 6, 0.5)
    return new.HardSigmoid(m[x], alpha=alpha, beta=beta)
