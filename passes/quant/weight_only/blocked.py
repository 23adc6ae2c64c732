"""Matrices in few bits: integers in blocks of rows, each block and column with a scale and a zero of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from graphopt.ir.dtypes import DType
from graphopt.ir.types import Array
from passes.quant.linear import tiles

TILE = 1 << 19
"""Weights that are quantised at a time: few enough to stay in the cache."""
LEAST_BLOCK = 16
FLOAT = np.dtype(np.float32)


@dataclass(frozen=True)
class Format:
    """How weights are stored. bits: 2, 4 or 8. block: rows that share a scale, a power of two, at least 16.
    symmetric: whether every zero is in the middle, and so needs no place. dtype: of the scales.
    """

    bits: int = 4
    block: int = 128
    symmetric: bool = False
    dtype: DType = FLOAT

    @property
    def top(self) -> int:
        """The greatest integer; the least is 0."""
        return (1 << self.bits) - 1

    @property
    def middle(self) -> int:
        """The integer that stands for zero in a symmetric format."""
        return 1 << (self.bits - 1)

    @property
    def each(self) -> int:
        """Integers in a byte."""
        return 8 // self.bits

    def fitting(self, rows: int, dtype: DType) -> Format:
        """The format for a matrix of `dtype`, with no larger blocks than so many rows have use for."""
        return replace(self, block=max(min(self.block, 1 << (rows - 1).bit_length()), LEAST_BLOCK), dtype=dtype)

    def scale(self, reach: Array, steps: int) -> Array:
        """The scale with which so many steps reach so far, as it is stored; at least the least normal number."""
        tiny = np.float32(np.finfo(self.dtype).tiny)
        stored: Array = np.maximum((reach / np.float32(steps)).astype(self.dtype).astype(np.float32), tiny)
        return stored


@dataclass(frozen=True)
class Layout:
    """The format and the size of a matrix."""

    format: Format
    rows: int
    columns: int


@dataclass(frozen=True, eq=False)
class Blocked:
    """A matrix of `rows` by columns. An integer q stands for (q - zero) * scale.

    codes: uint8 (columns, blocks, bytes of a block), the integers of consecutive rows side by side, the first one in
    the lowest bits. scales: float32 (columns, blocks). zeros: uint8 (columns, blocks).
    """

    format: Format
    rows: int
    codes: Array
    scales: Array
    zeros: Array

    @classmethod
    def empty(cls, shape: tuple[int, int], fmt: Format) -> Blocked:
        """Room for a matrix of this shape."""
        rows, columns = shape
        blocks = -(-rows // fmt.block)
        codes = np.empty((columns, blocks, fmt.block // fmt.each), np.uint8)
        return cls(fmt, rows, codes, np.empty((columns, blocks), np.float32), np.empty((columns, blocks), np.uint8))

    @property
    def columns(self) -> int:
        """Columns of the matrix."""
        return int(self.codes.shape[0])

    @property
    def layout(self) -> Layout:
        """All but the numbers."""
        return Layout(self.format, self.rows, self.columns)

    def part(self, columns: slice) -> Blocked:
        """Some columns."""
        return replace(self, codes=self.codes[columns], scales=self.scales[columns], zeros=self.zeros[columns])

    def put(self, rows: slice, columns: slice, codes: Array, scales: Array, zeros: Array) -> None:
        """Fill in whole blocks: codes (blocks, block, columns), scales and zeros (blocks, columns)."""
        first = rows.start // self.format.block
        blocks = slice(first, first + codes.shape[0])
        self.codes[columns, blocks] = packed(codes, self.format).transpose(2, 0, 1)
        self.scales[columns, blocks], self.zeros[columns, blocks] = scales.T, zeros.T

    def integers(self) -> Array:
        """The integers, uint8 (rows, columns)."""
        each, bits = self.format.each, self.format.bits
        parts = np.stack([self.codes >> (bits * i) & self.format.top for i in range(each)], axis=-1)
        flat: Array = parts.reshape(self.columns, -1)[:, : self.rows].T
        return flat

    def dense(self) -> Array:
        """What the integers stand for, float32 (rows, columns)."""
        scales, zeros = (np.repeat(a, self.format.block, 1)[:, : self.rows].T for a in (self.scales, self.zeros))
        numbers: Array = (self.integers().astype(np.float32) - zeros) * scales
        return numbers


def packed(codes: Array, fmt: Format) -> Array:
    """Integers of axis 1 in so few bytes as they need."""
    result: Array = codes[:, 0 :: fmt.each].copy()
    for i in range(1, fmt.each):
        result |= codes[:, i :: fmt.each] << (fmt.bits * i)
    return result


Choice = Callable[[Array, Format], tuple[Array, Array]]
"""Gives scales and zeros (float32, a whole number), each (blocks, columns), for weights (blocks, block, columns)."""


def extremes(weights: Array, fmt: Format) -> tuple[Array, Array]:
    """The finest scales with which no weight of a block is cut off by more than half a step."""
    low, high = np.minimum(weights.min(axis=1), 0), np.maximum(weights.max(axis=1), 0)
    if fmt.symmetric:
        scales = fmt.scale(np.maximum(-low, high), fmt.middle - 1)
        return scales, np.full_like(scales, fmt.middle)
    scales = fmt.scale(high - low, fmt.top)
    return scales, np.clip(np.rint(-low / scales), 0, fmt.top)


def rounded(weights: Array, scales: Array, zeros: Array, fmt: Format) -> tuple[Array, float]:
    """The nearest integers, uint8 (blocks, block, columns) as the weights, and how many steps the worst is away."""
    steps = weights / scales[:, None, :]
    steps += zeros[:, None, :]
    codes = np.rint(steps)
    np.clip(codes, 0, fmt.top, out=codes)
    steps -= codes
    return codes.astype(np.uint8), float(max(steps.max(), -steps.min()))


Rounding = Callable[[Array, Array, Array, Format], tuple[Array, float]]
"""As `rounded`."""


def nearest(
    matrix: Array, fmt: Format, choice: Choice = extremes, rounding: Rounding = rounded
) -> tuple[Blocked, float]:
    """Each weight of a matrix (rows, columns) rounded to the nearest point of its block's scale.

    A tile is read at a time, so the matrix may be larger than memory. Returns also how many steps the worst weight is
    away from what stands for it: half a step, but for rounding, where `choice` cuts nothing off.
    """
    result = Blocked.empty(matrix.shape, fmt)

    def fill(part: tuple[slice, slice]) -> float:
        weights = in_blocks(matrix[part], fmt.block)
        with np.errstate(all="ignore"):
            scales, zeros = choice(weights, fmt)
            codes, worst = rounding(weights, scales, zeros, fmt)
            result.put(*part, codes, scales, zeros)
        return worst

    with ThreadPoolExecutor(processors()) as pool:
        return result, float(np.max(list(pool.map(fill, tiles(matrix, fmt.block, TILE)))))


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_blocks(part: Array, block: int) -> Array:
    """float32 (blocks, block, columns), the last block filled up with zeros."""
    part = np.ascontiguousarray(part, np.float32)
    missing = -part.shape[0] % block
    if missing:
        part = np.concatenate([part, np.zeros((missing, part.shape[1]), np.float32)])
    return part.reshape(-1, block, part.shape[1])
