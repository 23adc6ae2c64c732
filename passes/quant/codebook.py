"""The best table of so many numbers for a set of numbers: k-means in one dimension (Lloyd, 1957)."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from graphopt.ir.types import Array

BINS = 1 << 14
"""Numbers are counted in so many bins; a cluster's mean is that of its bins."""
COARSE = 1 << 6
"""Bins that are taken together where their density is estimated."""
ROUNDS = 100
PACKED = 4
"""Bits up to which two positions share a byte."""


def fitted(values: Array, bits: int) -> tuple[Array, Array]:
    """A table, float32 (2**bits,), and the position of each value in it: uint4 up to 4 bits, else uint8."""
    table = means(values.reshape(-1), 1 << bits).astype(np.float32)
    borders = (table[1:] + table[:-1]) / 2
    positions = np.searchsorted(borders, values)
    return table, positions.astype(ml_dtypes.uint4 if bits <= PACKED else np.uint8)


def means(values: Array, count: int) -> Array:
    """So many numbers, ascending, with the least mean squared distance of values to the nearest that is found."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.full(count, low)
    numbers, edges = np.histogram(values, BINS, (low, high))
    sums, _ = np.histogram(values, edges, weights=values.astype(np.float64))
    total, weighted = np.concatenate([[0], np.cumsum(numbers)]), np.concatenate([[0], np.cumsum(sums)])
    coarse = numbers.reshape(-1, COARSE).sum(axis=1)
    shares = np.cumsum(coarse ** (1 / 3))  # optimal quantisers are as dense as the cube root of the density
    wanted = (np.arange(count) + 0.5) / count * shares[-1]
    found: Array = np.interp(wanted, np.concatenate([[0], shares]), edges[::COARSE])
    for _ in range(ROUNDS):
        inner = np.searchsorted(edges, (found[1:] + found[:-1]) / 2)
        borders = np.concatenate([[0], inner, [BINS]])
        members = np.diff(total[borders])
        moved = np.where(members > 0, np.diff(weighted[borders]) / np.maximum(members, 1), found)
        moved = np.maximum.accumulate(moved)
        if np.array_equal(moved, found):
            break
        found = moved
    return found
