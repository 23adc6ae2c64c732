"""Blocks of networks as ONNX Runtime's own operators: activations, residual connections, products."""

from graphopt.pipeline.passes import rule_pass
from passes.blocks import activation, linear, recurrent, residual
from passes.blocks.activation import (
    bias_fast_gelu,
    bias_gelu,
    conv_activation,
    conv_add_relu,
    conv_relu,
    fast_gelu,
    fused_gelu,
    fused_quick_gelu,
    fused_silu,
    fused_swish,
)
from passes.blocks.linear import (
    gemm_activation,
    merged_products,
    scaled_operand,
    scaled_product,
    sum_of_three,
    transposed_operand,
)
from passes.blocks.recurrent import unrolled_gru, unrolled_gru_end, unrolled_lstm, unrolled_lstm_end
from passes.blocks.residual import (
    embed_layer_norm,
    simplified_norm,
    simplified_norm_mixed,
    skip_layer_norm,
    skip_layer_norm_positions,
    skip_layer_norm_sum,
    skip_rms_norm,
    skip_rms_norm_sum,
)
from passes.blocks.rotary import rotated_grouped_attention

__all__ = [
    "BLOCKS",
    "RULES",
    "bias_fast_gelu",
    "bias_gelu",
    "conv_activation",
    "conv_add_relu",
    "conv_relu",
    "embed_layer_norm",
    "fast_gelu",
    "fused_gelu",
    "fused_quick_gelu",
    "fused_silu",
    "fused_swish",
    "gemm_activation",
    "merged_products",
    "rotated_grouped_attention",
    "scaled_operand",
    "scaled_product",
    "simplified_norm",
    "simplified_norm_mixed",
    "skip_layer_norm",
    "skip_layer_norm_positions",
    "skip_layer_norm_sum",
    "skip_rms_norm",
    "skip_rms_norm_sum",
    "sum_of_three",
    "transposed_operand",
    "unrolled_gru",
    "unrolled_gru_end",
    "unrolled_lstm",
    "unrolled_lstm_end",
]

OPTIONAL = (*activation.OPTIONAL, *linear.OPTIONAL)
"""Right, but slower on the CPU than what they replace, or only smaller: the packages say why."""
RULES = (*activation.RULES, *linear.RULES, *residual.RULES, *recurrent.RULES, rotated_grouped_attention)

BLOCKS = rule_pass(
    "blocks",
    """Write blocks of networks as the operators that ONNX Runtime has for them.

    What is spelled out, or stands in a row, becomes one operator of com.microsoft. Rules that
    are slower on the CPU, or only make the file smaller, run when asked.
    """,
    RULES,
    optional=OPTIONAL,
)
