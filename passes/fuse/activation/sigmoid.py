"""Sigmoid."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.activation.pieces import negative
from passes.fuse.guards import pointwise, takes

x = Value("x")
decay = op.Exp(negative(x)) + 1.0


@rule(1.0 / decay | op.Reciprocal(decay), numerics=Close(4), opset=6)
def sigmoid(m: Match, new: Builder) -> Tensor:
    """1 / (1 + exp(-x)) is Sigmoid(x), also where exp(-x) overflows: both are 0 there."""
    takes(m, x, "Sigmoid", double=True)
    pointwise(m, x)
    return new.Sigmoid(m[x])
