"""Systems of equations as large as memory: solved where they lie, by blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphopt.ir.types import Array

BLOCK = 512
"""Rows that are worked on at once; smaller systems are solved as they are."""


def solve_in_place(a: Array, b: Array) -> None:
    """Make `b` (float64 [..., size, columns]) what solves a x = b; `a` (float64 [..., size, size]) is used up.

    Gauss-Jordan elimination by blocks. `a` must be symmetric positive definite: then no rows need to change places.
    """
    size = a.shape[-1]
    for own in _blocks(size):
        rest = slice(own.stop, size)
        pivot = a[..., own, own].copy()
        a[..., own, rest] = np.linalg.solve(pivot, a[..., own, rest])
        b[..., own, :] = np.linalg.solve(pivot, b[..., own, :])
        for rows in _blocks(size):
            if rows != own:
                factor = a[..., rows, own].copy()
                a[..., rows, rest] -= factor @ a[..., own, rest]
                b[..., rows, :] -= factor @ b[..., own, :]


def subtract(target: Array, left: Array, right: Array) -> None:
    """Take left @ right off `target`, without room for the product."""
    for rows in _blocks(len(target)):
        target[rows] -= left[rows] @ right


def quadratic(second: Array, weights: Array) -> float:
    """The trace of weights' second weights."""
    return sum(float(np.vdot(weights[rows], second[rows] @ weights)) for rows in _blocks(len(second)))


def _blocks(size: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK))
