"""Blocks of networks as ONNX Runtime's own operators: activations, residual connections, products, embeddings."""

from graphopt.pipeline.passes import rule_pass
from passes.blocks import activation, embedding, known, residual
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
from passes.blocks.embedding import class_token, converted_lookup, row_in_table, shifted_lookup, sliced_table
from passes.blocks.known import (
    constant_lookup,
    decided_and,
    decided_mask,
    grid_of_counters,
    grid_of_indices,
    one_dimension,
    repeated_constant,
    rolled,
)
from passes.blocks.residual import (
    simplified_norm,
    simplified_norm_mixed,
    skip_layer_norm,
    skip_layer_norm_sum,
    skip_rms_norm,
    skip_rms_norm_sum,
)

__all__ = [
    "BLOCKS",
    "POSITIONS",
    "RULES",
    "bias_fast_gelu",
    "bias_gelu",
    "class_token",
    "constant_lookup",
    "conv_activation",
    "conv_add_relu",
    "conv_relu",
    "converted_lookup",
    "decided_and",
    "decided_mask",
    "fast_gelu",
    "fused_gelu",
    "fused_quick_gelu",
    "fused_silu",
    "fused_swish",
    "grid_of_counters",
    "grid_of_indices",
    "one_dimension",
    "repeated_constant",
    "rolled",
    "row_in_table",
    "shifted_lookup",
    "simplified_norm",
    "simplified_norm_mixed",
    "skip_layer_norm",
    "skip_layer_norm_sum",
    "skip_rms_norm",
    "skip_rms_norm_sum",
    "sliced_table",
]

OPTIONAL = (*activation.OPTIONAL, *residual.OPTIONAL)
"""Right, but slower on the CPU than what they replace, or only smaller: the packages say why."""
RULES = (*activation.RULES, *residual.RULES)

BLOCKS = rule_pass(
    "blocks",
    """Write blocks of networks as the operators that ONNX Runtime has for them.

    What is spelled out, or stands in a row, becomes one operator of com.microsoft. Rules that
    are slower on the CPU, or only make the file smaller, run when asked.
    """,
    RULES,
    optional=OPTIONAL,
)

POSITIONS = rule_pass(
    "positions",
    """Simplify positions, masks and lookups.

    What is known although it is computed goes; what is added to embeddings goes into their tables. Nothing but ai.onnx.
    """,
    (*known.RULES, *embedding.RULES),
)
