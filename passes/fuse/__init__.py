"""Several operators become one: constants into the weights of linear operators, activations, normalisations."""

from graphopt.pipeline.passes import rule_pass
from passes.fuse import activation, linear, norm

RULES = (*linear.RULES, *activation.RULES, *norm.RULES)

FUSE = rule_pass(
    "fuse",
    """Fuse chains into single operators.

    BatchNormalization, arithmetic and padding go into the Conv, ConvTranspose, Gemm, MatMul or pooling beside them;
    activations, normalisations and Softmax that an exporter spelled out become the operators they stand for.
    """,
    RULES,
    late=linear.LATE,
)
