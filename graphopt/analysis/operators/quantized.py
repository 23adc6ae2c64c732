"""Types of quantised and fused products in ONNX Runtime's own domain."""

from __future__ import annotations

import numpy as np

from graphopt.analysis.call import Call, types
from graphopt.analysis.operators.cutting import concatenated
from graphopt.analysis.operators.elementwise import broadcast, common
from graphopt.analysis.operators.linear import conv_dims, gemm_dims, matmul_dims, pooled
from graphopt.analysis.types import Dims, Type

FLOAT = np.dtype(np.float32)


@types("com.microsoft.FusedMatMul", "com.microsoft.TransposeMatMul")
def fused_matmul(call: Call) -> Type:
    """Either operand may have its last two dimensions exchanged."""
    if call.attr("transBatchA", 0) or call.attr("transBatchB", 0):
        return Type(call.dtype(0))
    a = _exchanged(call.dims(0), exchange=bool(call.attr("transA", 0)))
    b = _exchanged(call.dims(1), exchange=bool(call.attr("transB", 0)))
    return Type(common((call.dtype(0), call.dtype(1))), matmul_dims(a, b))


def _exchanged(dims: Dims | None, *, exchange: bool) -> Dims | None:
    if dims is None or not exchange or len(dims) == 1:
        return dims
    return (*dims[:-2], dims[-1], dims[-2])


@types("com.microsoft.FusedGemm")
def fused_gemm(call: Call) -> Type:
    """Gemm with an activation."""
    return Type(common((call.dtype(0), call.dtype(1))), gemm_dims(call, 0, 1))


@types("com.microsoft.FusedConv")
def fused_conv(call: Call) -> Type:
    """Conv with an addition or an activation."""
    return Type(common((call.dtype(0), call.dtype(1))), conv_dims(call, 0, 1))


@types("com.microsoft.MatMulNBits")
def matmul_n_bits(call: Call) -> Type:
    """The attribute N says how many columns the packed weight has."""
    dims = call.dims(0)
    return Type(call.dtype(0), None if dims is None else (*dims[:-1], call.attr("N")))


@types("com.microsoft.DynamicQuantizeMatMul")
def dynamic_quantize_matmul(call: Call) -> Type:
    """Floats in and out."""
    return Type(call.dtype(0), matmul_dims(call.dims(0), call.dims(1)))


@types("com.microsoft.MatMulIntegerToFloat")
def matmul_integer_to_float(call: Call) -> Type:
    """The scale gives the element type."""
    return Type(call.dtype(2), matmul_dims(call.dims(0), call.dims(1)))


@types("com.microsoft.QLinearAdd", "com.microsoft.QLinearMul")
def qlinear_arithmetic(call: Call) -> Type:
    """Tensor, scale, zero point; twice."""
    return Type(call.dtype(0), broadcast(call.dims(0), call.dims(3)))


@types("com.microsoft.QGemm")
def qgemm(call: Call) -> Type:
    """Without an output zero point the result is float."""
    return Type(call.dtype(8) if call.has(8) else FLOAT, gemm_dims(call, 0, 3))


@types("com.microsoft.QLinearConcat")
def qlinear_concat(call: Call) -> Type:
    """Output scale and zero point, then tensor, scale and zero point of each part."""
    return Type(call.dtype(1), concatenated([call.dims(i) for i in range(2, len(call.types), 3)], call.attr("axis")))


@types("com.microsoft.QLinearAveragePool")
def qlinear_average_pool(call: Call) -> Type:
    """The output zero point is the last input."""
    return Type(call.dtype(0), None if call.attr("channels_last", 0) else pooled(call))


@types("com.microsoft.QLinearGlobalAveragePool")
def qlinear_global_average_pool(call: Call) -> Type:
    """Spatial dimensions become 1, where the layout has them."""
    dims = call.dims(0)
    if dims is None:
        return Type(call.dtype(0))
    ones = (1,) * (len(dims) - 2)
    return Type(call.dtype(0), (dims[0], *ones, dims[-1]) if call.attr("channels_last", 0) else (*dims[:2], *ones))
