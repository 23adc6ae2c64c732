"""SiLU and the quick GELU, x sigmoid(slope x), which ONNX Runtime has as QuickGelu with any slope at any opset."""

from __future__ import annotations

from graphopt import Builder, Close, Match, op, rule
from graphopt.ir.types import Tensor
from passes.blocks.contrib import contrib
from passes.fuse.activation import quick_gelu, silu
from passes.fuse.activation.swish import slope, x
from passes.fuse.guards import number, pointwise
from passes.fuse.linear.product import attribute

SLOPE = 1.0
"""Of Swish by default."""

swish = op.Swish(x)


@rule(silu.pattern, numerics=Close(8), emits="com.microsoft::QuickGelu")
def fused_silu(m: Match, new: Builder) -> Tensor:
    """The product of x and sigmoid(x) is QuickGelu(x) with the slope 1."""
    return quick(m, new, 1.0)


@rule(quick_gelu.pattern, numerics=Close(8), emits="com.microsoft::QuickGelu")
def fused_quick_gelu(m: Match, new: Builder) -> Tensor:
    """The product of x and sigmoid(1.702 x), or any other slope, is QuickGelu(x)."""
    return quick(m, new, attribute(m, number(m, slope), slope))


@rule(swish, numerics=Close(8), emits="com.microsoft::QuickGelu")
def fused_swish(m: Match, new: Builder) -> Tensor:
    """Swish(x), which ONNX Runtime takes apart as it loads a model, is QuickGelu(x)."""
    return quick(m, new, m.attr(swish, "alpha", SLOPE))


def quick(m: Match, new: Builder, alpha: float) -> Tensor:
    """QuickGelu(x) with the slope `alpha`. Raises Refused."""
    pointwise(m, x)
    return contrib(new, "QuickGelu", m[x], alpha=alpha)
