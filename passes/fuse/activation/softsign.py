"""Softsign."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.guards import pointwise, takes

x = Value("x")


@rule(x / (op.Abs(x) + 1.0), numerics=Close(2))
def softsign(m: Match, new: Builder) -> Tensor:
    """Softsign(x) is x / (|x| + 1)."""
    takes(m, x, "Softsign")
    pointwise(m, x)
    return new.Softsign(m[x])
