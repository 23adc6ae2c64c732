"""Conv with the activation that follows it. ONNX Runtime makes the same of the two as it loads a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.rewrite.tape import Operand
from graphopt.target import CPU
from passes.blocks.contrib import contrib
from passes.fuse.guards import number

EMITS = "com.microsoft::FusedConv"
SIGMOID_ALPHA, SIGMOID_BETA, LEAKY_ALPHA = 0.2, 0.5, 0.01
"""Defaults of HardSigmoid and LeakyRelu."""

x, w, b, low, high, z = Value("x"), Value("w"), Value("b"), Const("low"), Const("high"), Value("z")
conv = op.Conv(x, w, Opt(b))
smooth = op.one_of("Sigmoid", "Tanh")(conv)
hard, leaky = op.HardSigmoid(conv), op.LeakyRelu(conv)
clip = op.Clip(conv, low, high)
add = conv + z


@rule(op.Relu(conv), numerics=Close(0), emits=EMITS)
def conv_relu(m: Match, new: Builder) -> Tensor:
    """Relu of a convolution is FusedConv."""
    return fused(m, new, m.get(b), None, activation="Relu")


@rule(smooth | hard | leaky | clip, numerics=Close(8), emits=EMITS)
def conv_activation(m: Match, new: Builder) -> Tensor:
    """Sigmoid, Tanh, HardSigmoid, LeakyRelu or Clip of a convolution is FusedConv, on the CPU."""
    m.require(m.target.kernels is CPU.kernels, f"FusedConv has {m.root.op} only on the CPU: it needs the target cpu")
    attr = m.root.attrs.get
    parameters = None
    if hard in m:
        parameters = [attr("alpha", SIGMOID_ALPHA), attr("beta", SIGMOID_BETA)]
    elif leaky in m:
        parameters = [attr("alpha", LEAKY_ALPHA)]
    elif clip in m:
        parameters = [number(m, low), number(m, high)]
    return fused(m, new, m.get(b), None, activation=m.root.op, activation_params=parameters)


@rule(op.Relu(add), numerics=Close(16), emits=EMITS)
def conv_add_relu(m: Match, new: Builder) -> Tensor:
    """Relu of a convolution plus something of its shape is FusedConv."""
    shape = m.shape(conv)
    m.require(shape is not None and None not in shape and shape == m.shape(z), "the summand may have another shape")
    bias = m.get(b)
    if bias is None:
        count = (m.shape(w) or (None,))[0]
        m.require(isinstance(count, int), "the number of channels is unknown")
        bias = np.zeros(count if isinstance(count, int) else 0)
    return fused(m, new, bias, m[z], activation="Relu")


def fused(m: Match, new: Builder, bias: Operand, summand: Tensor | None, **activation: Any) -> Tensor:
    """The matched Conv as FusedConv. Raises Refused where it is not known to compute in float."""
    m.require(m.dtype(x) == np.float32, "FusedConv computes in float32 alone, and the dtype is another, or unknown")
    return contrib(new, "FusedConv", m[x], m[w], bias, summand, **m[conv].attrs, **activation)
