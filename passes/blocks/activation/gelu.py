"""GELU as ONNX Runtime's own operators have it: at any opset, and with the bias before it."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.blocks.contrib import contrib, is_row
from passes.fuse.activation import gelu, gelu_tanh
from passes.fuse.activation.gelu import x as exact_operand
from passes.fuse.activation.gelu_tanh import x as tanh_operand
from passes.fuse.guards import pointwise

OFFICIAL = 20
"""The first opset that has Gelu."""

x, bias = Value("x"), Value("bias")
own = op.domain("com.microsoft")
biased = x + bias


def approximation(name: str) -> object:
    """Whether the attribute `approximate` is `name`."""
    return lambda value: (value or b"none") in (name, name.encode())


exact = op.Gelu(biased, approximate=approximation("none")) | own.Gelu(biased)
approximate = op.Gelu(biased, approximate=approximation("tanh")) | own.FastGelu(biased)


@rule(gelu.pattern, numerics=Close(8), emits="com.microsoft::Gelu")
def fused_gelu(m: Match, new: Builder) -> Tensor:
    """x/2 (1 + erf(x / sqrt 2)) is com.microsoft's Gelu(x), where the opset has none."""
    m.require(m.opset < OFFICIAL, f"opset {m.opset} has Gelu: the pass fuse writes it")
    pointwise(m, exact_operand)
    return contrib(new, "Gelu", m[exact_operand])


@rule(gelu_tanh.pattern, numerics=Close(16), emits="com.microsoft::FastGelu")
def fast_gelu(m: Match, new: Builder) -> Tensor:
    """x/2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) is FastGelu(x), where the opset has no Gelu."""
    m.require(m.opset < OFFICIAL, f"opset {m.opset} has Gelu: the pass fuse writes it")
    m.require(m.dtype(tanh_operand) != np.float64, "of float64 it keeps only part of the precision")
    m.require(m.shape(tanh_operand) != (), "the kernel of FastGelu takes no scalar")
    pointwise(m, tanh_operand)
    return contrib(new, "FastGelu", m[tanh_operand])


@rule(exact, numerics=Close(8), emits="com.microsoft::BiasGelu")
def bias_gelu(m: Match, new: Builder) -> Tensor:
    """Gelu(x + bias), the bias a vector, is BiasGelu."""
    m.require(is_row(m, bias, x), "the bias is not known to be a vector as long as the rows of x")
    return contrib(new, "BiasGelu", m[x], m[bias])


@rule(approximate, numerics=Close(16), emits="com.microsoft::FastGelu")
def bias_fast_gelu(m: Match, new: Builder) -> Tensor:
    """The tanh approximation of Gelu(x + bias), the bias a vector, is FastGelu."""
    m.require(is_row(m, bias, x), "the bias is not known to be a vector as long as the rows of x")
    return contrib(new, "FastGelu", m[x], m[bias])
