"""Values between Python and ONNX Runtime, of every element type, without copies where memory allows it."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from graphopt.ir.dtypes import bits, elem_type, numpy_dtype

Array = np.ndarray[Any, Any]
Value = Any
"""What a model takes and returns: an array, a list (sequence), a dict (map) or None (an empty optional)."""

_BYTE = 8
_PACKED = (2, 4)
_FLOAT8E4M3FN = 17


def is_runtime(value: Value) -> bool:
    """Whether a value from `to_runtime` is an OrtValue."""
    return hasattr(value, "data_ptr")


def to_runtime(value: Value) -> Value:
    """An OrtValue over the memory of a numeric array; text, sequences, maps and None as they are."""
    import onnxruntime as ort

    if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind in "OUS":
        return value
    array = np.asarray(value, order="C")
    if bits(array.dtype) in _PACKED:
        array = _packed(array)
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, elem_type(value.dtype))


def from_runtime(value: Value) -> Array:
    """The array in an OrtValue: a view of its memory, which it keeps alive."""
    dtype, shape = numpy_dtype(value.element_type()), tuple(value.shape())
    if dtype == np.object_:
        return np.asarray(value.numpy())
    memory = (ctypes.c_ubyte * value.tensor_size_in_bytes()).from_address(value.data_ptr())
    memory.owner = value
    data = np.frombuffer(memory, np.uint8)
    if bits(dtype) in _PACKED:
        return _unpacked(data, dtype, shape)
    return data.view(dtype).reshape(shape)


def retyped(value: Value, kind: str) -> Value:
    """Undo the runtime's only disguise: it returns float8e4m3fn as bytes outside of OrtValues."""
    if kind == "tensor(float8e4m3fn)" and isinstance(value, np.ndarray):
        return value.view(numpy_dtype(_FLOAT8E4M3FN))
    return value


def _packed(array: Array) -> Array:
    """Elements of 2 or 4 bits, the first in the lowest bits, at the start of an array of the same shape."""
    width = bits(array.dtype)
    shifts = np.arange(0, _BYTE, width, dtype=np.uint8)
    codes = array.reshape(-1).view(np.uint8) & ((1 << width) - 1)
    codes = np.pad(codes, (0, -codes.size % len(shifts)))
    data = np.bitwise_or.reduce(codes.reshape(-1, len(shifts)) << shifts, axis=1)
    packed = np.zeros(max(array.size, 1), np.uint8)
    packed[: data.size] = data
    return packed[: array.size].reshape(array.shape)


def _unpacked(data: Array, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """The inverse of `_packed`; signed elements get their sign back."""
    width = bits(dtype)
    codes = (data[:, None] >> np.arange(0, _BYTE, width, dtype=np.uint8)) & ((1 << width) - 1)
    codes = codes.reshape(-1)[: math.prod(shape)].astype(np.uint8)
    if dtype.name.startswith("int"):
        codes |= np.where(codes >> (width - 1), 0xFF << width & 0xFF, 0).astype(np.uint8)
    return codes.view(dtype).reshape(shape)
