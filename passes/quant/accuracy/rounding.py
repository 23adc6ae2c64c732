"""Weights rounded so that products, not weights, are close to those of the float network: least squares.

For a product W x that is computed as Q z, with z the rounded x, the error is the trace of (W - Q) C (W - Q)' where C is
the covariance of z, plus what the bias can take away: the difference of the means of W x and Q z. Columns are rounded
one after the other, the most important first, and what each loses is made up for by those that are still to come, as
the inverse of C has it (Frantar et al., "GPTQ", 2023); like AdaRound (Nagel et al., 2020) no weight moves by more than
to one of the two points next to it. The activations are those of the float network: one pass over data serves all
layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from graphopt.ir.types import Array
from passes.quant.accuracy import patches
from passes.quant.grid import Grid
from passes.quant.plan import Plan, Weight
from passes.quant.units import Unit

DAMPING = 0.01
"""What is added to the variances, as a share of their mean: data that are few do not decide alone."""
MOST_ROW = 2304
"""Elements of a row up to which covariances are held: beyond, weights are rounded to the nearest."""
ROWS = 64
"""Rows of a sample."""
BLOCK = 64


@dataclass
class Moments:
    """Sums over rows. plain, rounded: of the activation, in floats and on its grid. square: of rounded products."""

    plain: Array
    rounded: Array
    square: Array
    count: int = 0

    @classmethod
    def empty(cls, groups: int, row: int) -> Moments:
        """Nothing yet."""
        return cls(np.zeros((groups, row)), np.zeros((groups, row)), np.zeros((groups, row, row)))

    def add(self, rows: Array, grid: Grid) -> None:
        """Take in rows (count, groups, row)."""
        rounded = grid.rounded(rows)
        self.plain += rows.sum(0, dtype=np.float64)
        self.rounded += rounded.sum(0, dtype=np.float64)
        turned = np.ascontiguousarray(rounded.transpose(1, 2, 0))
        self.square += turned @ turned.transpose(0, 2, 1)
        self.count += len(rows)


def observed(
    units: Iterable[Unit], plan: Plan, batches: Iterable[Mapping[str, Array]], seed: int
) -> dict[str, Moments]:
    """The moments of what units multiply, by name. batches: activations by the names of tensors."""
    rng = np.random.default_rng(seed)
    found: dict[str, Moments] = {}
    chosen = [unit for unit in units if unit.name in plan.weights and patches.suits(unit)]
    for batch in batches:
        for unit in chosen:
            assert unit.weight is not None  # noqa: S101 - `suits` says so
            groups, _, row = patches.matrices(unit, np.empty(unit.weight.shape, np.bool_)).shape
            if row > MOST_ROW or unit.data[0].name not in batch:
                continue
            moments = found.setdefault(unit.name, Moments.empty(groups, row))
            activation = batch[unit.data[0].name]
            drawn = patches.rows(unit, activation, ROWS * len(activation), rng)
            if len(drawn):
                moments.add(drawn, plan.grids[unit.data[0].name])
    return found


def refined(units: Sequence[Unit], plan: Plan, moments: Mapping[str, Moments]) -> Plan:
    """The plan with weights and biases that keep the products."""
    made = {u.name: _unit(u, plan.weights[u.name], moments[u.name]) for u in units if u.name in moments}
    return replace(plan, weights={**plan.weights, **made})


def _unit(unit: Unit, weight: Weight, seen: Moments) -> Weight:
    assert unit.weight is not None  # noqa: S101 - `patches.suits` says so
    if not seen.count:
        return weight
    real = patches.matrices(unit, np.asarray(unit.weight.values, np.float64))
    scale = patches.per_row(unit, weight.grid.scale.astype(np.float64))
    plain, mean, square = seen.plain / seen.count, seen.rounded / seen.count, seen.square / seen.count
    biased = unit.kernel.bias is not None
    spread = square - (mean[:, :, None] * mean[:, None, :] if biased else 0.0)
    steps = least_squares(real / scale, spread, weight.grid.low, weight.grid.high)
    bias = weight.bias
    if biased:
        shift = real @ plain[:, :, None] - (steps * scale) @ mean[:, :, None]
        bias = (0.0 if bias is None else bias) + shift.reshape(-1)
    values = patches.weight_of(unit, steps, weight.values.shape).astype(weight.values.dtype)
    return replace(weight, values=values, bias=bias)


def least_squares(steps: Array, spread: Array, low: int, high: int) -> Array:
    """Integers next to `steps` (groups, results, row), from `low` to `high`, for activations with the covariances
    `spread` (groups, row, row): those whose products with them differ least, column by column."""
    order = np.argsort(-np.diagonal(spread, axis1=1, axis2=2), axis=1)
    back = np.argsort(order, axis=1)
    spread = np.take_along_axis(np.take_along_axis(spread, order[:, :, None], 1), order[:, None, :], 2)
    left = np.take_along_axis(steps, order[:, None, :], 2)
    floor, ceiling = np.clip(np.floor(left), low, high), np.clip(np.ceil(left), low, high)
    factor = _factor(spread)
    row = left.shape[2]
    left, made = left.copy(), np.empty_like(left)
    for begin in range(0, row, BLOCK):
        end = min(begin + BLOCK, row)
        errors = np.empty((*left.shape[:2], end - begin))
        for place in range(begin, end):
            now = left[:, :, place]
            made[:, :, place] = np.clip(np.rint(now), floor[:, :, place], ceiling[:, :, place])
            error = (now - made[:, :, place]) / factor[:, place, place, None]
            errors[:, :, place - begin] = error
            left[:, :, place:end] -= error[:, :, None] * factor[:, None, place, place:end]
        left[:, :, end:] -= errors @ factor[:, begin:end, end:]
    return np.take_along_axis(made, back[:, None, :], 2)


def _factor(spread: Array) -> Array:
    """The upper triangular factor of the inverse of damped covariances. What never varies counts as independent.

    Covariances far smaller than the means that were taken from them are known badly: then they are damped more.
    """
    variances = np.diagonal(spread, axis1=1, axis2=2)
    mean = variances.mean(axis=1)
    damping = DAMPING * np.where(mean > 0, mean, 1.0)
    try:
        return _root_of_inverse(spread, damping)
    except np.linalg.LinAlgError:
        return _root_of_inverse(spread, np.maximum(damping, -2 * np.linalg.eigvalsh(spread)[:, 0]))


def _root_of_inverse(spread: Array, damping: Array) -> Array:
    inverse = np.linalg.inv(spread + damping[:, None, None] * np.eye(spread.shape[1]))
    symmetric = (inverse + inverse.transpose(0, 2, 1)) / 2
    return np.linalg.cholesky(symmetric).transpose(0, 2, 1)
