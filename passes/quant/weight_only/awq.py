"""Activation-aware scaling (AWQ; Lin and others, 2023): rows that are fed much get finer steps.

Rows are multiplied by factors, and what they are fed is divided by them. The factors are powers of the mean magnitudes;
the power is the one with the least error of the product on the calibration data.
"""

from __future__ import annotations

from operator import itemgetter

import numpy as np

from graphopt.ir.types import Array
from passes.quant.weight_only.blocked import Blocked, Choice, Format, extremes, nearest
from passes.quant.weight_only.moments import Moments

POWERS = tuple(i / 10 for i in range(10))


def scaled(matrix: Array, fmt: Format, fed: Moments, choice: Choice = extremes) -> tuple[Blocked, Array | None]:
    """The matrix with its rows scaled, in blocks; and the factors (rows,), None where none are best."""

    def tried(power: float) -> tuple[float, Blocked, Array | None]:
        factors = _factors(fed.magnitude, power) if power else None
        weights = matrix if factors is None else matrix * factors[:, None]
        held, _ = nearest(weights, fmt, choice)
        dense = held.dense() if factors is None else held.dense() / factors[:, None]
        return _error(dense - matrix, fed.gram), held, factors

    _, held, factors = min(map(tried, POWERS), key=itemgetter(0))
    return held, factors


def _factors(magnitude: Array, power: float) -> Array:
    """Powers of the magnitudes, around 1."""
    usual = np.maximum(magnitude / max(float(magnitude.mean()), 1e-30), 1e-4)
    powers = usual**power
    factors: Array = (powers / np.sqrt(powers.max() * powers.min())).astype(np.float32)
    return factors


def _error(away: Array, gram: Array) -> float:
    """The squared error of the product that such errors of the weights make."""
    return float((away * (gram.astype(np.float32) @ away)).sum(dtype=np.float64))
