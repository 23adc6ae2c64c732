"""Rules that move arithmetic, normalisation, padding and transposes into convolutions, pooling and matrix products."""

from passes.fuse.linear.add_conv import add_conv
from passes.fuse.linear.add_gemm import add_gemm
from passes.fuse.linear.batchnorm_conv import batchnorm_conv
from passes.fuse.linear.batchnorm_gemm import batchnorm_gemm
from passes.fuse.linear.conv_add import conv_add
from passes.fuse.linear.conv_batchnorm import conv_batchnorm
from passes.fuse.linear.conv_mul import conv_mul
from passes.fuse.linear.gemm_add import gemm_add
from passes.fuse.linear.gemm_batchnorm import gemm_batchnorm
from passes.fuse.linear.gemm_mul import gemm_mul
from passes.fuse.linear.gemm_transpose import gemm_transpose
from passes.fuse.linear.matmul_add import matmul_add
from passes.fuse.linear.matmul_mul import matmul_mul
from passes.fuse.linear.mul_conv import mul_conv
from passes.fuse.linear.mul_gemm import mul_gemm
from passes.fuse.linear.pad_average_pool import pad_average_pool
from passes.fuse.linear.pad_conv import pad_conv
from passes.fuse.linear.pad_max_pool import pad_max_pool
from passes.fuse.linear.reshaped_gemm import reshaped_gemm
from passes.fuse.linear.transpose_gemm import transpose_gemm
from passes.fuse.linear.transpose_matmul import transpose_matmul

__all__ = [
    "LATE",
    "RULES",
    "add_conv",
    "add_gemm",
    "batchnorm_conv",
    "batchnorm_gemm",
    "conv_add",
    "conv_batchnorm",
    "conv_mul",
    "gemm_add",
    "gemm_batchnorm",
    "gemm_mul",
    "gemm_transpose",
    "matmul_add",
    "matmul_mul",
    "mul_conv",
    "mul_gemm",
    "pad_average_pool",
    "pad_conv",
    "pad_max_pool",
    "reshaped_gemm",
    "transpose_gemm",
    "transpose_matmul",
]

RULES = (
    conv_batchnorm,
    conv_mul,
    conv_add,
    pad_conv,
    pad_average_pool,
    pad_max_pool,
    matmul_add,
    matmul_mul,
    gemm_add,
    gemm_mul,
    gemm_batchnorm,
    transpose_gemm,
    transpose_matmul,
    gemm_transpose,
    reshaped_gemm,
)

LATE = (mul_conv, add_conv, batchnorm_conv, mul_gemm, add_gemm, batchnorm_gemm)
"""Rules that move something into what follows: first it may belong to an activation or normalisation that is spelled
out, or go back into what came before."""
