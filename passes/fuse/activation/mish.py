"""Mish."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.guards import takes

x = Value("x")


@rule(x * op.Tanh(op.Softplus(x)), numerics=Close(4), opset=18)
def mish(m: Match, new: Builder) -> Tensor:
    """Mish(x) is x tanh(softplus(x))."""
    takes(m, x, "Mish")
    return new.Mish(m[x])
