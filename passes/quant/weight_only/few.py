"""Weights of one or two values and zero: binary (Rastegari and others, 2016) and ternary (Li and others, 2016).

A block has one scale s. Binary weights are -s and s, ternary ones -s, 0 and s. They are stored in 2 bits around 2.
"""

from __future__ import annotations

import numpy as np

from graphopt.ir.types import Array
from passes.quant.weight_only.blocked import Format

ROUNDS = 10


def binary_scales(weights: Array, fmt: Format) -> tuple[Array, Array]:
    """The mean magnitudes: with these the squared distance to -s and s is least."""
    scales = fmt.scale(np.abs(weights).mean(axis=1), 1)
    return scales, np.full_like(scales, fmt.middle)


def ternary_scales(weights: Array, fmt: Format) -> tuple[Array, Array]:
    """The mean magnitudes of those nearer to s than to 0, in turns with who these are."""
    sizes = np.abs(weights)
    scales = sizes.mean(axis=1)
    for _ in range(ROUNDS):
        far = sizes > scales[:, None] / 2
        scales = np.where(far.any(axis=1), (sizes * far).sum(axis=1) / np.maximum(far.sum(axis=1), 1), scales)
    scales = fmt.scale(scales, 1)
    return scales, np.full_like(scales, fmt.middle)


def signs(weights: Array, _scales: Array, _zeros: Array, fmt: Format) -> tuple[Array, float]:
    """Above or below the middle."""
    return np.where(weights < 0, fmt.middle - 1, fmt.middle + 1).astype(np.uint8), np.inf


def signs_and_zeros(weights: Array, scales: Array, _zeros: Array, fmt: Format) -> tuple[Array, float]:
    """Above, below or in the middle, whichever is nearest."""
    steps = np.clip(np.rint(weights / scales[:, None, :]), -1, 1)
    return (steps + fmt.middle).astype(np.uint8), np.inf
