"""Relu from a comparison with zero."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.activation.pieces import limitless
from passes.fuse.guards import pointwise, takes

x = Value("x")


@rule(op.Max(x, 0.0) | op.Clip(x, 0.0) | op.Clip(x, min=0.0, max=limitless), numerics=Close(0), opset=6)
def relu(m: Match, new: Builder) -> Tensor:
    """max(x, 0) is Relu(x), except that ONNX Runtime's Clip cuts infinity to the largest number and Relu does not."""
    takes(m, x, "Relu", double=True)
    pointwise(m, x)
    return new.Relu(m[x])
