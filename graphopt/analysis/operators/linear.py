"""Types of matrix products, convolutions, pooling and resizing."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from graphopt.analysis.call import Call, types
from graphopt.analysis.integers import FACTOR
from graphopt.analysis.operators.cutting import common_dim
from graphopt.analysis.operators.elementwise import broadcast, common
from graphopt.analysis.operators.layout import normalized
from graphopt.analysis.order import at_least
from graphopt.analysis.symbolic import Expression, Scalar, ceil, floor
from graphopt.analysis.types import Dims, Type

if TYPE_CHECKING:
    from collections.abc import Sequence

INT64 = np.dtype(np.int64)


def matmul_dims(a: Dims | None, b: Dims | None) -> Dims | None:
    """The shape of a product of matrices, stacks of matrices or vectors."""
    if not a or not b:
        return None
    left = a if len(a) > 1 else (1, *a)
    right = b if len(b) > 1 else (*b, 1)
    stack = broadcast(left[:-2], right[:-2]) or ()
    return stack + left[-2:-1] * (len(a) > 1) + right[-1:] * (len(b) > 1)


@types("MatMul")
def matmul(call: Call) -> Type:
    """One element type in and out."""
    return Type(common((call.dtype(0), call.dtype(1))), matmul_dims(call.dims(0), call.dims(1)))


@types("MatMulInteger")
def matmul_integer(call: Call) -> Type:
    """Integer products add up in int32."""
    return Type(np.dtype(np.int32), matmul_dims(call.dims(0), call.dims(1)))


@types("QLinearMatMul")
def qlinear_matmul(call: Call) -> Type:
    """The output zero point gives the element type."""
    return Type(call.dtype(7), matmul_dims(call.dims(0), call.dims(3)))


def gemm_dims(call: Call, a: int, b: int) -> Dims:
    """Rows of one matrix, columns of the other, as they are transposed."""
    left, right = call.dims(a) or (None, None), call.dims(b) or (None, None)
    return left[1 if call.attr("transA", 0) else 0], right[0 if call.attr("transB", 0) else 1]


@types("Gemm")
def gemm(call: Call) -> Type:
    """A matrix; the third operand broadcasts to it."""
    return Type(common((call.dtype(0), call.dtype(1))), gemm_dims(call, 0, 1))


# --- windows --------------------------------------------------------------------------------------------------


def window(call: Call, dims: Dims, kernel: Sequence[Scalar | None], *, ceil_mode: bool = False) -> list[Scalar | None]:
    """Spatial dimensions of what a window of size `kernel` yields when it slides over `dims`.

    In a valid run the window is no larger than the padded dimension; where it is, runtimes differ.
    """
    count = len(dims)
    strides = call.attr("strides") or [1] * count
    dilations = call.attr("dilations") or [1] * count
    pads = call.attr("pads") or [0] * (2 * count)
    auto = _text(call.attr("auto_pad", "NOTSET"))
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        return [None if d is None else ceil(d * Fraction(1, s)) for d, s in zip(dims, strides, strict=True)]
    if auto == "VALID":
        pads = [0] * (2 * count)
    result: list[Scalar | None] = []
    for i, (dim, size) in enumerate(zip(dims, kernel, strict=True)):
        if dim is None or size is None:
            result.append(None)
            continue
        reach = (size - 1) * dilations[i] + 1
        steps = (dim - reach + pads[i] + pads[i + count]) * Fraction(1, strides[i])
        if ceil_mode and auto != "VALID":
            result.append(_inside(ceil(steps) + 1, dim + pads[i], reach - pads[i + count], strides[i]))
        else:
            result.append(floor(steps) + 1 if not ceil_mode or strides[i] == 1 else None)
    return result


def _inside(out: Scalar, end: Scalar, least: Scalar, stride: int) -> Scalar | None:
    """With ceil_mode, a last window that would start at or after `end` is dropped.

    None does that is to reach `least` elements beyond where it starts, when those are as many as a stride.
    """
    if at_least(least, stride):
        return out
    if isinstance(out, Expression) or isinstance(end, Expression):
        return None
    return out - 1 if (out - 1) * stride >= end else out


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _kernel(call: Call, weight: Dims | None, count: int) -> Sequence[Scalar | None]:
    listed = call.attr("kernel_shape")
    if listed:
        return [int(k) for k in listed]
    return weight[2:] if weight is not None else [None] * count


def conv_dims(call: Call, data: int, weight: int) -> Dims | None:
    """The shape of a convolution."""
    dims, weights = call.dims(data), call.dims(weight)
    rank = len(dims or weights or ())
    channels = (weights or (None,))[0]
    if dims is None:
        return (None, channels, *[None] * (rank - 2)) if rank else None
    spatial = window(call, dims[2:], _kernel(call, weights, rank - 2))
    return (dims[0], channels, *spatial)


@types("Conv")
def conv(call: Call) -> Type:
    """One element type in and out."""
    return Type(common((call.dtype(0), call.dtype(1))), conv_dims(call, 0, 1))


@types("ConvInteger")
def conv_integer(call: Call) -> Type:
    """Integer products add up in int32."""
    return Type(np.dtype(np.int32), conv_dims(call, 0, 1))


@types("QLinearConv")
def qlinear_conv(call: Call) -> Type:
    """The output zero point gives the element type."""
    return Type(call.dtype(7), conv_dims(call, 0, 3))


@types("ConvTranspose")
def conv_transpose(call: Call) -> Type:
    """Stride (n - 1) + output_padding + reach - pads, or `output_shape` as it is given."""
    dims, weights = call.dims(0), call.dims(1)
    dtype = common((call.dtype(0), call.dtype(1)))
    if dims is None or weights is None:
        return Type(dtype)
    group = call.attr("group", 1)
    channels = None if weights[1] is None else weights[1] * group
    return Type(dtype, (dims[0], channels, *_upsampled(call, dims[2:], weights)))


def _upsampled(call: Call, dims: Dims, weights: Dims) -> Sequence[Scalar | None]:
    count = len(dims)
    listed = call.attr("output_shape")
    if listed:
        return [int(d) for d in listed][-count:]
    strides = call.attr("strides") or [1] * count
    dilations = call.attr("dilations") or [1] * count
    pads = call.attr("pads") or [0] * (2 * count)
    extra = call.attr("output_padding") or [0] * count
    auto = _text(call.attr("auto_pad", "NOTSET"))
    result: list[Scalar | None] = []
    for i, (dim, size) in enumerate(zip(dims, _kernel(call, weights, count), strict=True)):
        if dim is None or size is None:
            result.append(None)
        elif auto in ("SAME_UPPER", "SAME_LOWER"):
            reaches = isinstance(size, int) and (size - 1) * dilations[i] + 1 >= strides[i]  # else runtimes disagree
            result.append(dim * strides[i] if reaches and not any(extra) else None)
        else:
            padding = 0 if auto == "VALID" else pads[i] + pads[i + count]
            result.append((dim - 1) * strides[i] + extra[i] + (size - 1) * dilations[i] + 1 - padding)
    return result


def pooled(call: Call) -> Dims | None:
    """The shape of pooling."""
    dims = call.dims(0)
    if dims is None:
        return None
    kernel = [int(k) for k in call.attr("kernel_shape")]
    spatial = window(call, dims[2:], kernel, ceil_mode=bool(call.attr("ceil_mode", 0)))
    return (*dims[:2], *spatial)


@types("AveragePool", "LpPool")
def pool(call: Call) -> Type:
    """Windows keep batch and channels."""
    return Type(call.dtype(0), pooled(call))


@types("MaxPool")
def max_pool(call: Call) -> tuple[Type, Type]:
    """The second output holds the places of the first."""
    dims = pooled(call)
    return Type(call.dtype(0), dims), Type(INT64, dims)


@types("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(call: Call) -> Type:
    """Spatial dimensions become 1."""
    dims = call.dims(0)
    return Type(call.dtype(0), None if dims is None else dims[:2] + (1,) * (len(dims) - 2))


# --- resize ---------------------------------------------------------------------------------------------------


@types("Resize", "Upsample", reads=(1, 2, 3))
def resize(call: Call) -> Type:
    """Scales multiply and round down; sizes are taken as they are, unless an aspect ratio is kept."""
    dims, dtype = call.dims(0), call.dtype(0)
    if dims is None:
        return Type(dtype)
    scales, sizes = _resize_targets(call)
    axes = normalized(call.attr("axes", range(len(dims))), len(dims))
    result = list(dims)
    policy = _text(call.attr("keep_aspect_ratio_policy", "stretch"))
    for place, axis in enumerate(axes):
        if sizes is not None and policy == "stretch":
            result[axis] = sizes[place]
        elif scales is not None and sizes is None:
            result[axis] = _scaled(dims[axis], scales[place])
        else:
            result[axis] = None
    return Type(dtype, result)


def _resize_targets(call: Call) -> tuple[Sequence[Scalar | None] | None, Sequence[Scalar | None] | None]:
    if call.op == "Upsample":
        listed = call.attr("scales") if not call.since(9) else call.elements(1)
        return (None if listed is None else list(map(_single, listed))), None
    if not call.since(11):
        return call.elements(1), None
    return call.elements(2) or None, call.elements(3) or None


def _single(scale: Any) -> Scalar | None:
    """An attribute's scale as the float32 it is; an input's as it comes."""
    return Fraction(float(np.float32(scale))) if isinstance(scale, float) else scale


def _scaled(dim: Scalar | None, scale: Scalar | None) -> Scalar | None:
    """floor(dim * scale), which runtimes compute in float32: symbolic only where that is exact."""
    if dim is None or scale is None or isinstance(scale, Expression):
        return None
    if isinstance(dim, Expression):
        exact = scale.denominator & (scale.denominator - 1) == 0 and scale.numerator <= FACTOR
        return floor(dim * scale) if exact else None
    return int(np.floor(np.float32(int(dim)) * np.float32(float(scale))))


# --- shapes that inputs share ---------------------------------------------------------------------------------


@types("Einsum")
def einsum(call: Call) -> Type | None:
    """Every letter is one dimension; an ellipsis broadcasts, which is left to onnx."""
    equation = _text(call.attr("equation")).replace(" ", "")
    if "." in equation:
        return None
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    sizes: dict[str, Scalar | None] = {}
    for i, term in enumerate(terms):
        dims = call.dims(i) or (None,) * len(term)
        for letter, dim in zip(term, dims, strict=True):
            sizes[letter] = common_dim((sizes.get(letter), dim))
    letters = "".join(terms)
    if not arrow:
        right = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    return Type(common(call.dtype(i) for i in range(len(terms))), (sizes[c] for c in right))
