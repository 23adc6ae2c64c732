"""Gemm with the activation that follows it, which ONNX Runtime's CPU provider computes on the way."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Opt, op, rule, values
from graphopt.ir.types import Tensor
from passes.blocks.contrib import contrib

LEAKY_ALPHA = 0.01
"""Of LeakyRelu by default."""

a, b, c = values("a b c")
gemm = op.Gemm(a, b, Opt(c))
plain = op.one_of("Relu", "Sigmoid", "Tanh")(gemm)
leaky = op.LeakyRelu(gemm)


@rule(plain | leaky, numerics=Close(8), opset=7, emits="com.microsoft::FusedGemm")
def gemm_activation(m: Match, new: Builder) -> Tensor:
    """Relu, Sigmoid, Tanh or LeakyRelu of Gemm is FusedGemm, on the CPU."""
    alpha = m.root.attrs.get("alpha", LEAKY_ALPHA) if leaky in m else None
    attrs = m[gemm].attrs | {"activation": m.root.op, "activation_alpha": alpha}
    return contrib(new, "FusedGemm", m[a], m[b], m.get(c), **attrs)
