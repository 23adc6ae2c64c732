"""What the canonical forms ask of constant operands."""

from __future__ import annotations

import numpy as np

from graphopt import Const, Match
from graphopt.ir import values
from graphopt.ir.dtypes import FLOATS, DType, finfo
from graphopt.ir.types import Array, Tensor

LARGEST = 65536
"""Constants with more elements are weights: they are neither read nor copied."""
NUMPY_BROADCASTING = 7
"""The first opset in which arithmetic broadcasts as NumPy does, on both sides."""


def number(m: Match, part: Const) -> Array:
    """The values of a constant operand (float64 if floating). Refuses weights."""
    held = values.constant(m.tensor(part))
    m.require(held is not None and held.size <= LARGEST, "the constant is large")
    array: Array = m[part]
    m.require(array.dtype.kind in "fiu", "the constant is not a number")
    return array


def merged(m: Match, a: Array, b: Array, result: Array) -> Array:
    """What two constant operands become together. Refuses if that takes more room than the larger of them."""
    m.require(result.size <= max(a.size, b.size), "the two constants together would be larger")
    return result


def floating(m: Match, tensor: Tensor) -> DType:
    """The floating type of a tensor. Refuses any other."""
    dtype = m.dtype(tensor)
    if dtype is None or dtype not in FLOATS:
        m.refuse("the type is not floating, or unknown")
    return dtype


def is_normal(array: Array, dtype: DType, margin: float = 1.0) -> bool:
    """Whether every element is a normal number of `dtype`, its exponent within this part of the range."""
    info = finfo(dtype)
    low, high = float(info.smallest_normal) ** margin, float(info.max) ** margin
    return bool(((np.abs(array) >= low) & (np.abs(array) <= high)).all())
