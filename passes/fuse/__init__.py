"""Several operators become one: constants into the weights of linear operators, activations, normalisations."""

from graphopt.pipeline.passes import rule_pass
from passes.fuse import activation, linear, norm
from passes.fuse.activation import (
    clip,
    gelu,
    gelu_tanh,
    hard_sigmoid,
    hard_swish,
    leaky_relu,
    mish,
    prelu,
    quick_gelu,
    relu,
    sigmoid,
    silu,
    softplus,
    softsign,
)
from passes.fuse.linear import (
    add_conv,
    add_gemm,
    batchnorm_conv,
    batchnorm_gemm,
    conv_add,
    conv_batchnorm,
    conv_mul,
    gemm_add,
    gemm_batchnorm,
    gemm_mul,
    gemm_transpose,
    matmul_add,
    matmul_mul,
    mul_conv,
    mul_gemm,
    pad_average_pool,
    pad_conv,
    pad_max_pool,
    reshaped_gemm,
    transpose_gemm,
    transpose_matmul,
)
from passes.fuse.norm import (
    group_norm,
    instance_norm,
    layer_norm,
    layer_norm_mixed,
    log_softmax,
    reduce_l2,
    reduce_sum_square,
    rms_norm,
    rms_norm_mixed,
    softmax,
)

__all__ = [
    "FUSE",
    "RULES",
    "add_conv",
    "add_gemm",
    "batchnorm_conv",
    "batchnorm_gemm",
    "clip",
    "conv_add",
    "conv_batchnorm",
    "conv_mul",
    "gelu",
    "gelu_tanh",
    "gemm_add",
    "gemm_batchnorm",
    "gemm_mul",
    "gemm_transpose",
    "group_norm",
    "hard_sigmoid",
    "hard_swish",
    "instance_norm",
    "layer_norm",
    "layer_norm_mixed",
    "leaky_relu",
    "log_softmax",
    "matmul_add",
    "matmul_mul",
    "mish",
    "mul_conv",
    "mul_gemm",
    "pad_average_pool",
    "pad_conv",
    "pad_max_pool",
    "prelu",
    "quick_gelu",
    "reduce_l2",
    "reduce_sum_square",
    "relu",
    "reshaped_gemm",
    "rms_norm",
    "rms_norm_mixed",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "transpose_gemm",
    "transpose_matmul",
]

OPTIONAL = (group_norm, quick_gelu, silu)
"""ONNX Runtime has no kernels of its own for GroupNormalization and Swish: models that spell them out are faster."""
RULES = tuple(rule for rule in (*linear.RULES, *activation.RULES, *norm.RULES) if rule not in OPTIONAL)

FUSE = rule_pass(
    "fuse",
    """Fuse chains into single operators.

    BatchNormalization, arithmetic and padding go into the Conv, ConvTranspose, Gemm, MatMul or pooling beside them;
    activations, normalisations and Softmax that an exporter spelled out become the operators they stand for.
    """,
    RULES,
    late=linear.LATE,
    optional=OPTIONAL,
)
