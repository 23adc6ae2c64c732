"""Half-quadratic quantisation (Badri and Shaji, 2023): scales and zeros for which few weights are far away.

The distance of weights is measured with a power below 1, which a few outliers do not rule; it is minimised in turns,
over the outliers, which a shrinkage gives, and over zero and scale. Here zeros are whole numbers, as they are stored,
and a block for which the extremes serve better, in squares, keeps those.
"""

from __future__ import annotations

import numpy as np

from graphopt.ir.types import Array
from passes.quant.weight_only.blocked import Format, extremes

TURNS = 12
POWER, SHARPNESS, GROWTH = 0.7, 10.0, 1.1
"""Of the distance; and how hard outliers are held to what they are, at first and in each turn after another."""


def half_quadratic(weights: Array, fmt: Format) -> tuple[Array, Array]:
    """Scales and zeros, as `extremes` gives them, for weights (blocks, block, columns)."""
    scales, zeros = extremes(weights, fmt)
    best = [scales, zeros, _error(weights, scales, zeros, fmt)]
    reach = np.maximum(np.abs(weights).max(axis=1), np.float32(np.finfo(np.float32).tiny))[:, None]
    sharpness = SHARPNESS
    for _ in range(TURNS):
        codes = _codes(weights, scales, zeros, fmt)
        outliers = _shrunk((weights - (codes - zeros[:, None]) * scales[:, None]) / reach, sharpness) * reach
        scales, zeros = _fitted(codes, weights - outliers, scales, zeros, fmt)
        error = _error(weights, scales, zeros, fmt)
        better = error < best[2]
        best = [np.where(better, new, old) for new, old in zip((scales, zeros, error), best, strict=True)]
        sharpness *= GROWTH
    return best[0], best[1]


def _codes(weights: Array, scales: Array, zeros: Array, fmt: Format) -> Array:
    codes: Array = np.clip(np.rint(weights / scales[:, None] + zeros[:, None]), 0, fmt.top)
    return codes


def _error(weights: Array, scales: Array, zeros: Array, fmt: Format) -> Array:
    """The sum of squares for each block."""
    away = (_codes(weights, scales, zeros, fmt) - zeros[:, None]) * scales[:, None] - weights
    total: Array = (away * away).sum(axis=1)
    return total


def _shrunk(away: Array, sharpness: float) -> Array:
    """The outliers: what is left of distances, in parts of a block's largest weight, after shrinkage."""
    size = np.abs(away)
    with np.errstate(divide="ignore", over="ignore"):
        left = np.maximum(size - size ** (POWER - 1) / sharpness, 0)
    shrunk: Array = np.sign(away) * left
    return shrunk


def _fitted(codes: Array, target: Array, scales: Array, zeros: Array, fmt: Format) -> tuple[Array, Array]:
    """Zeros, then scales, with which the codes come nearest to the target in squares."""
    if not fmt.symmetric:
        zeros = np.clip(np.rint((codes - target / scales[:, None]).mean(axis=1)), 0, fmt.top)
    steps = codes - zeros[:, None]
    squares = (steps * steps).sum(axis=1)
    with np.errstate(all="ignore"):
        fitted = (steps * target).sum(axis=1) / squares
    usable = (squares > 0) & (fitted > 0) & np.isfinite(fitted)
    return fmt.scale(np.where(usable, fitted, scales), 1), zeros
