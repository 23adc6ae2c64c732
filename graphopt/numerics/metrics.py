"""Distances between two arrays of one dtype and shape, in float64 and a chunk at a time."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import ml_dtypes
import numpy as np

from graphopt.ir.dtypes import epsilon

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = np.ndarray[Any, Any]

CHUNK = 1 << 18
"""Elements that are compared at a time."""


class Distance(NamedTuple):
    """How far a float array is from a reference.

    k: the largest difference, in units of eps(dtype) times the largest finite element of the reference.
    worst: where it is. misplaced: where the first NaN or infinity differs, or None.
    """

    k: float
    worst: int
    misplaced: int | None


@functools.cache
def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether values of `dtype` are rounded: the floats of NumPy and ml_dtypes, and complex numbers."""
    return "float" in dtype.name or dtype.kind == "c"


def flat(array: Array) -> Array:
    """The elements in a row; a complex number is a pair of reals."""
    row = np.asarray(array, order="C").reshape(-1)
    return row.view(row.real.dtype) if row.dtype.kind == "c" else row


def chunks(old: Array, new: Array) -> Iterator[tuple[int, Array, Array]]:
    """Matching pieces of two flat arrays, each with its start."""
    for start in range(0, old.size, CHUNK):
        yield start, old[start : start + CHUNK], new[start : start + CHUNK]


def finite(row: Array) -> int:
    """How many elements of a flat array are neither NaN nor infinite."""
    if not is_float(row.dtype):
        return row.size
    return sum(int(np.isfinite(_wide(chunk)).sum()) for _, chunk, _ in chunks(row, row))


def first_difference(old: Array, new: Array, *, overflow: bool = False) -> int | None:
    """Where two flat arrays first differ in a bit, NaN against NaN apart; None if nowhere.

    overflow: pass over places where `old` is NaN or infinite.
    """
    for start, one, other in chunks(old, new):
        differs = np.not_equal(_bits(one), _bits(other))
        if differs.any() and is_float(old.dtype):
            differs &= ~(np.isnan(_wide(one)) & np.isnan(_wide(other)))
            if overflow:
                differs &= np.isfinite(_wide(one))
        if differs.any():
            return start + int(differs.argmax())
    return None


def distance(old: Array, new: Array, *, overflow: bool = False) -> Distance:
    """The distance of a flat float array from a reference; `overflow` as in `first_difference`."""
    largest, worst, misplaced = 0.0, 0, None
    scale = smallest_normal(old.dtype)
    with np.errstate(all="ignore"):
        for start, narrow_one, narrow_other in chunks(old, new):
            one, other = _wide(narrow_one), _wide(narrow_other)
            gap, most = np.abs(one - other), np.abs(one).max()
            if not np.isfinite(gap.max()):  # something is not finite: only what is can be told apart
                usable = np.isfinite(one)
                bad = ~((one == other) | (np.isnan(one) & np.isnan(other)) | (usable & np.isfinite(other)))
                bad &= usable | (not overflow)
                if misplaced is None and bad.any():
                    misplaced = start + int(bad.argmax())
                gap, most = np.where(usable & ~bad, gap, 0.0), np.abs(one).max(initial=0.0, where=usable)
            scale = max(scale, float(most))
            if gap.max() > largest:
                largest, worst = float(gap.max()), start + int(gap.argmax())
    return Distance(largest / scale / epsilon(old.dtype), worst, misplaced)


def measure(reference: Array, candidate: Array, metric: str) -> float:
    """The value of a metric of `Lossy`, over the elements where the reference is finite."""
    if metric == "top1":
        return top1(reference, candidate)
    dot = signal = power = noise = largest = 0.0
    with np.errstate(all="ignore"):
        for _, narrow_one, narrow_other in chunks(flat(reference), flat(candidate)):
            one, other = _wide(narrow_one), _wide(narrow_other)
            usable = np.isfinite(one)
            if not usable.all():
                one, other = one[usable], other[usable]
            gap = one - other
            dot += float((one * other).sum())
            signal += float((one * one).sum())
            power += float((other * other).sum())
            noise += float((gap * gap).sum())
            largest = max(largest, float(np.abs(gap).max(initial=0.0)))
    if metric == "max_abs":
        return largest
    if metric == "cosine":
        return dot / math.sqrt(signal) / math.sqrt(power) if signal and power else float(signal == power)
    if noise == 0 or signal == 0:
        return -math.inf if noise else math.inf
    return 10 * (math.log10(signal) - math.log10(noise))


def top1(reference: Array, candidate: Array) -> float:
    """The share of rows (over the last axis) with the same largest element; of equal elements for labels."""
    if not is_float(reference.dtype) or reference.ndim == 0 or reference.dtype.kind == "c":
        return float(np.equal(reference, candidate).mean())
    rows = (a.reshape(-1, reference.shape[-1]) for a in (reference, candidate))
    old, new = (_wide(row).argmax(axis=-1) for row in rows)
    return float((old == new).mean())


def smallest_normal(dtype: np.dtype[Any]) -> float:
    """The smallest positive normal number of a floating dtype."""
    return float(cast("Any", ml_dtypes).finfo(dtype).smallest_normal)


def _wide(array: Array) -> Array:
    return array.astype(np.float64, copy=False)


def _bits(row: Array) -> Array:
    """Unsigned integers with the same bits; what is not a float as it is."""
    return row.view(f"u{row.itemsize}") if is_float(row.dtype) else row
