"""Blocks of networks as ONNX Runtime's own operators: activations, residual connections, products, embeddings."""

from graphopt.pipeline.passes import rule_pass
from passes.blocks import activation, residual

OPTIONAL = (*activation.OPTIONAL, *residual.OPTIONAL)
RULES = (*activation.RULES, *residual.RULES)

BLOCKS = rule_pass(
    "blocks",
    """Write blocks of networks as the operators that ONNX Runtime has for them.

    What is spelled out, or stands in a row, becomes one operator of com.microsoft. Rules that are slower on the CPU, or
    only make the file smaller, run when asked.
    """,
    RULES,
    optional=OPTIONAL,
)
