"""SiLU and the quick GELU, which are Swish with the slopes 1 and 1.702."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.activation.pieces import negative
from passes.fuse.guards import number, pointwise, takes

OPSET = 24
"""The opset that has Swish, and so far the only one in which ONNX Runtime runs it."""

x, slope = Value("x"), Const("slope")


@rule(x * op.Sigmoid(x) | x / (op.Exp(negative(x)) + 1.0), numerics=Close(4), opset=OPSET)
def silu(m: Match, new: Builder) -> Tensor:
    """Swish(x) is x sigmoid(x). No operator computes it before opset 24."""
    return swish(m, new, 1.0)


@rule(x * op.Sigmoid(x * slope), numerics=Close(4), opset=OPSET)
def quick_gelu(m: Match, new: Builder) -> Tensor:
    """Swish(x) with the slope 1.702, or any other, is x sigmoid(1.702 x). No operator computes it before opset 24."""
    return swish(m, new, number(m, slope))


def swish(m: Match, new: Builder, alpha: float) -> Tensor:
    """Swish(x) with the slope `alpha`. Raises Refused."""
    takes(m, x, "Swish")
    pointwise(m, x)
    m.require(m.opset == OPSET, f"ONNX Runtime runs Swish only at opset {OPSET}, the model has {m.opset}")
    return new.Swish(m[x], alpha=alpha)
