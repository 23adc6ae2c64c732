"""Weights rounded so that products, not weights, are close to those of the float network: least squares.

For a product W x that is computed as Q z, with z the rounded x, the error is the trace of (W - Q) C (W - Q)' where C is
the covariance of x, which is that of z but for the noise of its rounding, and what the bias can take away: the
difference of the means of W x and Q z. So one C serves every choice of ranges. Columns are rounded one after the other,
the most important first, and what each loses is made up for by those that are still to come, as the inverse of C has it
(Frantar et al., "GPTQ", 2023); like AdaRound (Nagel et al., 2020) no weight moves by more than to one of the two points
next to it. The activations are those of the float network: one pass over data serves all layers.
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
MOVES = 1.0
"""Steps between the two points next to a weight: it moves by less."""
SHARE = 8
"""Of so many rows one is rounded to the grids of all plans: what that moves them by is small, and alike."""


@dataclass
class Moments:
    """Sums over rows of what a product multiplies with its weights.

    total: of the activation. square: of its products. moved: by how much each plan's grid moves it, over the first
    `few` rows.
    """

    total: Array
    square: Array
    moved: Array
    count: int = 0
    few: int = 0

    @classmethod
    def empty(cls, groups: int, row: int, plans: int) -> Moments:
        """Nothing yet."""
        return cls(np.zeros((groups, row)), np.zeros((groups, row, row)), np.zeros((plans, groups, row)))

    def add(self, rows: Array, grids: Sequence[Grid]) -> None:
        """Take in rows (count, groups, row)."""
        few = rows[: max(1, len(rows) // SHARE)]
        for place, grid in enumerate(grids):
            self.moved[place] += (grid.rounded(few) - few).sum(0, dtype=np.float64)
        self.total += rows.sum(0, dtype=np.float64)
        turned = np.ascontiguousarray(rows.transpose(1, 2, 0))
        self.square += turned @ turned.transpose(0, 2, 1)
        self.count += len(rows)
        self.few += len(few)

    @property
    def mean(self) -> Array:
        """Of the activation: (groups, row, 1)."""
        mean: Array = self.total / self.count
        return mean[:, :, None]

    def rounded(self, plan: int) -> Array:
        """The mean of the activation on the grid of a plan: (groups, row, 1)."""
        moved: Array = self.moved[plan] / self.few
        return self.mean + moved[:, :, None]


def observed(
    units: Iterable[Unit], plans: Sequence[Plan], batches: Iterable[Mapping[str, Array]], seed: int
) -> dict[str, Moments]:
    """The moments of what units multiply, by name, for all plans. batches: activations by the names of tensors."""
    rng = np.random.default_rng(seed)
    found: dict[str, Moments] = {}
    chosen = [unit for unit in units if patches.suits(unit) and all(unit.name in plan.weights for plan in plans)]
    for batch in batches:
        for unit in chosen:
            groups, _, row = patches.matrices(unit, np.empty(unit.own_weight.shape, np.bool_)).shape
            if row > MOST_ROW or unit.data[0].name not in batch:
                continue
            moments = found.setdefault(unit.name, Moments.empty(groups, row, len(plans)))
            activation = batch[unit.data[0].name]
            drawn = patches.rows(unit, activation, ROWS * len(activation), rng)
            if len(drawn):
                moments.add(drawn, [plan.grids[unit.data[0].name] for plan in plans])
    return found


def refined(units: Sequence[Unit], plans: Sequence[Plan], moments: Mapping[str, Moments]) -> list[Plan]:
    """The plans with weights and biases that keep the products."""
    made: list[dict[str, Weight]] = [dict(plan.weights) for plan in plans]
    for unit in units:
        seen = moments.get(unit.name)
        if seen is not None and seen.count:
            known: dict[bytes, Array] = {}
            for place, weights in enumerate(made):
                weights[unit.name] = _unit(unit, weights[unit.name], seen, place, known)
    return [replace(plan, weights=weights) for plan, weights in zip(plans, made, strict=True)]


def _unit(unit: Unit, weight: Weight, seen: Moments, plan: int, known: dict[bytes, Array]) -> Weight:
    """The weight of a unit for one of the plans. known: its integers, by the scales of its grid."""
    real = patches.matrices(unit, np.asarray(unit.own_weight.values, np.float64))
    scale = patches.per_row(unit, weight.grid.scale.astype(np.float64))
    biased = unit.kernel.bias is not None
    key = weight.grid.scale.tobytes()
    if key not in known:
        known[key] = least_squares(real / scale, _spread(seen, biased=biased), weight.grid.low, weight.grid.high)
    bias = weight.bias
    if biased:
        shift = real @ seen.mean - (known[key] * scale) @ seen.rounded(plan)
        bias = (0.0 if bias is None else bias) + shift.reshape(-1)
    values = patches.weight_of(unit, known[key], weight.values.shape).astype(weight.values.dtype)
    return replace(weight, values=values, bias=bias, moves=MOVES)


def _spread(seen: Moments, *, biased: bool) -> Array:
    """The covariances of the activation; where no bias can take the mean away, its second moments."""
    square = seen.square / seen.count
    return square - seen.mean @ seen.mean.transpose(0, 2, 1) if biased else square


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
