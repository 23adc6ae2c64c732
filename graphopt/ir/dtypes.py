"""The one table between ONNX element types and NumPy dtypes (ml_dtypes for what NumPy lacks).

The mapping is a bijection over all ONNX element types; strings are `object` arrays of `str` or `bytes`.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from onnx import TensorProto

DType = np.dtype[Any]

_TABLE: dict[int, DType] = {
    getattr(TensorProto, name): np.dtype(dtype)
    for name, dtype in {
        "FLOAT": np.float32,
        "DOUBLE": np.float64,
        "FLOAT16": np.float16,
        "BFLOAT16": ml_dtypes.bfloat16,
        "FLOAT8E4M3FN": ml_dtypes.float8_e4m3fn,
        "FLOAT8E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
        "FLOAT8E5M2": ml_dtypes.float8_e5m2,
        "FLOAT8E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
        "FLOAT8E8M0": ml_dtypes.float8_e8m0fnu,
        "FLOAT6E2M3": ml_dtypes.float6_e2m3fn,
        "FLOAT6E3M2": ml_dtypes.float6_e3m2fn,
        "FLOAT4E2M1": ml_dtypes.float4_e2m1fn,
        "UINT8": np.uint8,
        "INT8": np.int8,
        "UINT16": np.uint16,
        "INT16": np.int16,
        "UINT32": np.uint32,
        "INT32": np.int32,
        "UINT64": np.uint64,
        "INT64": np.int64,
        "UINT4": ml_dtypes.uint4,
        "INT4": ml_dtypes.int4,
        "UINT2": ml_dtypes.uint2,
        "INT2": ml_dtypes.int2,
        "BOOL": np.bool_,
        "STRING": np.object_,
        "COMPLEX64": np.complex64,
        "COMPLEX128": np.complex128,
    }.items()
    if hasattr(TensorProto, name)
}
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

INTEGERS = frozenset(np.dtype(kind + str(bits)) for kind in ("int", "uint") for bits in (8, 16, 32, 64))
FLOATS = frozenset(
    np.dtype(dtype) for dtype in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)
)
"""The floating types in which networks compute (storage-only 8-, 6- and 4-bit types are not among them)."""


def numpy_dtype(elem_type: int) -> DType:
    """The NumPy dtype of an ONNX element type code. Raises KeyError for UNDEFINED and unknown codes."""
    return _TABLE[elem_type]


def elem_type(dtype: DType | type) -> int:
    """The ONNX element type code of a NumPy dtype; any string dtype is STRING. Raises KeyError otherwise."""
    dtype = np.dtype(dtype)
    return _CODES[np.dtype(np.object_) if dtype.kind in "US" else dtype]


def name(dtype: DType) -> str:
    """The dtype as ONNX texts spell it: `float`, `int64`, `bfloat16`, `string`."""
    return str(TensorProto.DataType.Name(elem_type(dtype))).lower()


def bits(dtype: DType) -> int:
    """Bits that one element occupies in a serialised tensor (4 for int4, which NumPy holds in 8)."""
    return _PACKED_BITS.get(dtype, dtype.itemsize * 8)


def epsilon(dtype: DType) -> float:
    """Distance from 1.0 to the next number of a floating dtype; 0.0 for every other dtype."""
    if dtype.kind == "c":
        return epsilon(np.dtype(np.float32 if dtype == np.complex64 else np.float64))
    try:
        return float(ml_dtypes.finfo(dtype).eps)
    except ValueError:
        return 0.0
