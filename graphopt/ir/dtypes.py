"""The one table between ONNX element types and NumPy dtypes (ml_dtypes for what NumPy lacks).

The mapping is a bijection over all ONNX element types; strings are `object` arrays of `str` or `bytes`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

DType = np.dtype[Any]

_ROWS: tuple[tuple[int, str, Any], ...] = (
    (1, "float", np.float32),
    (2, "uint8", np.uint8),
    (3, "int8", np.int8),
    (4, "uint16", np.uint16),
    (5, "int16", np.int16),
    (6, "int32", np.int32),
    (7, "int64", np.int64),
    (8, "string", np.object_),
    (9, "bool", np.bool_),
    (10, "float16", np.float16),
    (11, "double", np.float64),
    (12, "uint32", np.uint32),
    (13, "uint64", np.uint64),
    (14, "complex64", np.complex64),
    (15, "complex128", np.complex128),
    (16, "bfloat16", ml_dtypes.bfloat16),
    (17, "float8e4m3fn", ml_dtypes.float8_e4m3fn),
    (18, "float8e4m3fnuz", ml_dtypes.float8_e4m3fnuz),
    (19, "float8e5m2", ml_dtypes.float8_e5m2),
    (20, "float8e5m2fnuz", ml_dtypes.float8_e5m2fnuz),
    (21, "uint4", ml_dtypes.uint4),
    (22, "int4", ml_dtypes.int4),
    (23, "float4e2m1", ml_dtypes.float4_e2m1fn),
    (24, "float8e8m0", ml_dtypes.float8_e8m0fnu),
    (25, "uint2", ml_dtypes.uint2),
    (26, "int2", ml_dtypes.int2),
    (27, "float6e2m3", ml_dtypes.float6_e2m3fn),
    (28, "float6e3m2", ml_dtypes.float6_e3m2fn),
)
"""TensorProto.DataType (onnx.proto): the numbers are the format's and never change, so onnx need not be imported."""
_TABLE: dict[int, DType] = {code: np.dtype(dtype) for code, _, dtype in _ROWS}
_NAMES: dict[DType, str] = {np.dtype(dtype): name for _, name, dtype in _ROWS}
_CODES = {dtype: code for code, dtype in _TABLE.items()}

_PACKED_BITS: dict[DType, int] = {
    np.dtype(ml_dtypes.uint4): 4,
    np.dtype(ml_dtypes.int4): 4,
    np.dtype(ml_dtypes.float4_e2m1fn): 4,
    np.dtype(ml_dtypes.uint2): 2,
    np.dtype(ml_dtypes.int2): 2,
    np.dtype(ml_dtypes.float6_e2m3fn): 6,
    np.dtype(ml_dtypes.float6_e3m2fn): 6,
}

finfo: Callable[[DType], Any] = ml_dtypes.finfo

INTEGERS = frozenset(np.dtype(kind + str(bits)) for kind in ("int", "uint") for bits in (8, 16, 32, 64))
FLOATS = frozenset(np.dtype(dtype) for dtype in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64))
"""The floating types in which networks compute (storage-only 8-, 6- and 4-bit types are not among them)."""
HALVES = frozenset(dtype for dtype in FLOATS if dtype.itemsize == np.dtype(np.float16).itemsize)
"""Those of 16 bits."""


def numpy_dtype(elem_type: int) -> DType:
    """The NumPy dtype of an ONNX element type code. Raises KeyError for UNDEFINED and unknown codes."""
    return _TABLE[elem_type]


def elem_type(dtype: DType | type) -> int:
    """The ONNX element type code of a NumPy dtype; any string dtype is STRING. Raises KeyError otherwise."""
    dtype = np.dtype(dtype)
    return _CODES[np.dtype(np.object_) if dtype.kind in "US" else dtype]


def name(dtype: DType) -> str:
    """The dtype as ONNX texts spell it: `float`, `int64`, `bfloat16`, `string`."""
    return _NAMES[np.dtype(np.object_) if dtype.kind in "US" else np.dtype(dtype)]


def bits(dtype: DType) -> int:
    """Bits that one element occupies in a serialised tensor (4 for int4, which NumPy holds in 8)."""
    return _PACKED_BITS.get(dtype, dtype.itemsize * 8)


def epsilon(dtype: DType) -> float:
    """Distance from 1.0 to the next number of a floating dtype; 0.0 for every other dtype."""
    if dtype.kind == "c":
        return epsilon(np.dtype(np.float32 if dtype == np.complex64 else np.float64))
    try:
        return float(finfo(dtype).eps)
    except ValueError:
        return 0.0
