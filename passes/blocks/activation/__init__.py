"""Activations as ONNX Runtime's own operators have them, and with what comes before them."""

from __future__ import annotations

from passes.blocks.activation.fused_conv import conv_activation, conv_add_relu, conv_relu
from passes.blocks.activation.gelu import bias_fast_gelu, bias_gelu, fast_gelu, fused_gelu
from passes.blocks.activation.swish import fused_quick_gelu, fused_silu, fused_swish

RULES = (
    conv_relu, conv_activation, fused_gelu, fast_gelu, bias_gelu, bias_fast_gelu, fused_silu, fused_quick_gelu,
    fused_swish,
)  # fmt: skip
OPTIONAL = (conv_add_relu,)
"""On the CPU, a FusedConv with a summand leaves the blocked layout: it takes a third longer than Conv, Add and Relu."""

__all__ = [
    "OPTIONAL",
    "RULES",
    "bias_fast_gelu",
    "bias_gelu",
    "conv_activation",
    "conv_add_relu",
    "conv_relu",
    "fast_gelu",
    "fused_gelu",
    "fused_quick_gelu",
    "fused_silu",
    "fused_swish",
]
