"""algebra: linear maps of constants are added and multiplied out, where that takes fewer operations and bytes."""

from graphopt.pipeline.passes import rule_pass
from passes.algebra import absorbing, passing
from passes.algebra.concat_conv import concat_conv
from passes.algebra.conv_conv import conv_conv
from passes.algebra.gemm_gemm import gemm_gemm, parallel_gemm
from passes.algebra.matmul_matmul import matmul_matmul, parallel_matmul
from passes.algebra.parallel_conv import parallel_conv
from passes.algebra.scale import scale_to_weights, shift_to_weights

__all__ = [
    "ALGEBRA",
    "RULES",
    "absorbing",
    "concat_conv",
    "conv_conv",
    "gemm_gemm",
    "matmul_matmul",
    "parallel_conv",
    "parallel_gemm",
    "parallel_matmul",
    "passing",
    "scale_to_weights",
    "shift_to_weights",
]

RULES = (
    parallel_conv,
    conv_conv,
    parallel_matmul,
    matmul_matmul,
    parallel_gemm,
    gemm_gemm,
    concat_conv,
    scale_to_weights,
    shift_to_weights,
)

ALGEBRA = rule_pass(
    "algebra",
    """Add up and multiply out linear maps with constant weights.

    Branches that are summed become one Conv, Gemm or MatMul, as training in parallel branches leaves them; linear
    operators in a row become one, where that takes no more multiplications and bytes.
    """,
    RULES,
)
