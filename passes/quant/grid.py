"""The numbers that an integer tensor stands for, and the way there and back."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np

from graphopt.ir import dtypes
from graphopt.ir.dtypes import DType
from graphopt.ir.types import Array

SMALLEST = float(np.finfo(np.float32).tiny)
"""The least scale: a smaller one is no normal number, and runtimes may take it for zero."""


@dataclass(frozen=True, eq=False)
class Grid:
    """An integer q stands for (q - zero) * scale.

    dtype: of the integers. scale, zero: float32 and `dtype`, of one element, or of as many as the tensor has along
    `axis`. low, high: the least and the greatest integer in use.
    """

    dtype: DType
    scale: Array
    zero: Array
    low: int
    high: int
    axis: int | None = None

    def quantise(self, values: Array) -> Array:
        """The nearest points, halves to the even one, as `QuantizeLinear` has it. Raises nothing; NaN becomes zero."""
        scale, zero = self._along(values.ndim)
        steps = np.rint(values / scale) + zero
        held: Array = np.nan_to_num(np.clip(steps, self.low, self.high), nan=0.0)
        return held.astype(self.dtype)

    def dequantise(self, integers: Array) -> Array:
        """The numbers, float32."""
        scale, zero = self._along(integers.ndim)
        return ((integers.astype(np.float64) - zero) * scale).astype(np.float32)

    def rounded(self, values: Array) -> Array:
        """The numbers that the nearest points stand for, float32."""
        return self.dequantise(self.quantise(values))

    @property
    def bottom(self) -> float:
        """The least number of a grid with one scale."""
        return float((self.low - int(self.zero)) * np.float64(self.scale))

    @property
    def top(self) -> float:
        """The greatest number of a grid with one scale."""
        return float((self.high - int(self.zero)) * np.float64(self.scale))

    def same(self, other: Grid) -> bool:
        """Whether equal integers stand for equal numbers on both."""
        return (
            self.dtype == other.dtype
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero, other.zero)
        )

    def _along(self, rank: int) -> tuple[Array, Array]:
        scale, zero = self.scale.astype(np.float64), self.zero.astype(np.float64)
        if self.axis is None or not scale.ndim:
            return scale, zero
        shape = [1] * rank
        shape[self.axis] = -1
        return scale.reshape(shape), zero.reshape(shape)


def limits(dtype: DType, bits: int | None = None) -> tuple[int, int]:
    """The least and the greatest integer of a type, or of so many of its bits."""
    bits = bits or dtypes.bits(dtype)
    return (0, 2**bits - 1) if np.dtype(dtype).name.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def asymmetric(low: float, high: float, dtype: DType, bits: int | None = None) -> Grid:
    """The finest grid with one scale that holds zero and everything from `low` to `high`.

    It does not reach beyond a bound that is zero, nor above a `high` by a rounding of the scale: then what cuts a
    tensor at that bound, as Relu and Clip do, is done by the saturation of the integers.
    """
    least, most = limits(dtype, bits)
    low, high = min(low, 0.0), max(high, 0.0)
    steps = most - least
    scale = np.float32(max((high - low) / steps, SMALLEST))
    if not low and np.float64(scale) * steps > high > SMALLEST * steps:
        scale = np.nextafter(scale, np.float32(0))
    zero = int(np.clip(np.rint(least - low / float(scale)), least, most))
    return Grid(np.dtype(dtype), np.asarray(scale), np.asarray(zero, dtype), least, most)


def symmetric(largest: Array | float, dtype: DType, bits: int | None = None, axis: int | None = None) -> Grid:
    """The finest grid around zero that holds numbers of up to `largest`, one for each element of it.

    The least integer of a signed type is not used, so that the grid is symmetric. Where all numbers are zero, any
    scale is right: it is 1.
    """
    least, most = limits(dtype, bits)
    signed = least < 0
    middle = 0 if signed else 2 ** ((bits or dtypes.bits(np.dtype(dtype))) - 1)
    reach = np.asarray(largest, np.float64)
    scale = np.where(reach > 0, np.maximum(reach / (most - middle), SMALLEST), 1.0).astype(np.float32)
    zero = np.full(scale.shape, middle, dtype)
    return Grid(np.dtype(dtype), scale, zero, middle - (most - middle), most, axis)


UINT8, INT8, UINT16, INT16, INT32 = (np.dtype(t) for t in (np.uint8, np.int8, np.uint16, np.int16, np.int32))
INT4, UINT4 = np.dtype(ml_dtypes.int4), np.dtype(ml_dtypes.uint4)
