"""Softplus."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.activation.pieces import rectified
from passes.fuse.guards import pointwise, takes

x = Value("x")
safe = rectified(x) + op.Log(op.Exp(-op.Abs(x)) + 1.0)


@rule(op.Log(op.Exp(x) + 1.0) | safe, numerics=Close(8))
def softplus(m: Match, new: Builder) -> Tensor:
    """log(exp(x) + 1), or max(x, 0) + log(exp(-|x|) + 1), is Softplus(x).

    Where exp(x) overflows (x > 88 in float32) the first spelling is infinite and Softplus is x: the contract holds
    wherever the original is finite.
    """
    takes(m, x, "Softplus")
    pointwise(m, x)
    return new.Softplus(m[x])
