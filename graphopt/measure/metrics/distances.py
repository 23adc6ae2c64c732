"""Distances of outputs from those of the original model. No labels are needed."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from graphopt.errors import UsageError
from graphopt.ir.types import Array
from graphopt.measure.metrics.metric import Metric, Observed, chosen, flat, mean


def _pair(observed: Observed, output: str | None) -> tuple[Array, Array]:
    """Both outputs as (samples, elements). Raises UsageError if their shapes differ."""
    if observed.reference is None:
        raise UsageError("there is no original model to compare with")
    found, expected = chosen(observed.outputs, output), chosen(observed.reference, output)
    if found.shape != expected.shape:
        raise UsageError(f"the outputs have the shapes {list(found.shape)} and {list(expected.shape)}")
    return flat(found), flat(expected)


def _powers(observed: Observed, output: str | None) -> Array:
    found, expected = _pair(observed, output)
    return np.stack([(expected**2).sum(axis=1), ((found - expected) ** 2).sum(axis=1)], axis=1)


def _decibels(kept: Array, weights: Array) -> float:
    signal, noise = (float(total) for total in weights @ kept)
    if math.isnan(signal + noise):
        return math.nan
    if not signal or not noise:
        return -math.inf if noise else math.inf
    return 10 * (math.log10(signal) - math.log10(noise))


def _cosines(observed: Observed, output: str | None) -> Array:
    found, expected = _pair(observed, output)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    products = (found * expected).sum(axis=1)
    alike = np.divide(products, lengths, out=(found == expected).all(axis=1).astype(np.float64), where=lengths != 0)
    return np.stack([alike, np.ones_like(alike)], axis=1)


def _errors(observed: Observed, output: str | None) -> Array:
    found, expected = _pair(observed, output)
    gap = np.abs(found - expected)
    return np.stack([gap.sum(axis=1), np.full(len(gap), gap.shape[1], np.float64)], axis=1)


def _largest_errors(observed: Observed, output: str | None) -> Array:
    found, expected = _pair(observed, output)
    gap: Array = np.abs(found - expected)
    return np.asarray(gap.max(axis=1, keepdims=True, initial=0.0))


def _largest(kept: Array, weights: Array) -> float:
    return float(kept[weights > 0, 0].max(initial=0.0))


def _distance(
    name: str,
    unit: str,
    update: Callable[..., Array],
    score: Callable[[Array, Array], float],
    *,
    up: bool = False,
) -> Callable[..., Metric]:
    """What makes the metric for an output."""

    def make(output: str | None = None) -> Metric:
        observe = partial(update, output=output)
        return Metric(name, unit, observe, score, up, needs_reference=True, output=output)

    return make


sqnr = _distance("sqnr", "dB", _powers, _decibels, up=True)
"""Power of the original's output over the power of the difference, over all samples, in decibels."""
cosine = _distance("cosine", "", _cosines, mean, up=True)
"""The cosine of the angle between the two outputs of a sample, as long vectors; the mean over samples."""
mean_abs = _distance("mean_abs", "", _errors, mean)
"""The mean of the absolute differences of elements."""
max_abs = _distance("max_abs", "", _largest_errors, _largest)
"""The largest absolute difference of elements."""
