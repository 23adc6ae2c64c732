"""A plan: what is quantised, and onto which grids. Data by name, so it holds for every copy of the same float model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from graphopt.ir.dtypes import DType
from graphopt.ir.types import Array, Constant
from graphopt.ir.values import constant
from passes.quant.activations import grids_of
from passes.quant.existing import Given
from passes.quant.grid import SMALLEST, Grid, asymmetric, limits, symmetric
from passes.quant.kernels import Integers, Role
from passes.quant.units import Unit, bounds

if TYPE_CHECKING:
    from graphopt.calibration.ranges import Range

LARGEST_BIAS = 2.0**30
"""What the integers of a bias may reach: the sums to which they are added need the rest of 32 bits."""


@dataclass(frozen=True, eq=False)
class Weight:
    """The constant operands of a unit. values: integers on `grid`. bias: in floats, before it is rounded; or None.

    moves: how many steps of the grid the rounding may move a weight by: half a one to the nearest.
    """

    values: Array
    grid: Grid
    bias: Array | None
    moves: float = 0.5


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be quantised.

    units: the names of units, in the order of the graph. grids: of the activations that they read and compute, by name;
    a matrix product whose result has none writes floats.
    weights: by unit. reasons: why other units stay as they are, by unit.
    """

    units: tuple[str, ...]
    grids: Mapping[str, Grid]
    weights: Mapping[str, Weight]
    reasons: Mapping[str, str] = field(default_factory=dict)

    def without(self, reasons: Mapping[str, str]) -> Plan:
        """The plan less some units, with the reasons."""
        kept = tuple(name for name in self.units if name not in reasons)
        return replace(self, units=kept, reasons={**self.reasons, **reasons})


@dataclass(frozen=True)
class Manner:
    """How tensors are quantised. channels: weights have a scale for each output channel. symmetric: activations have
    their zero in the middle. bits: of the weights."""

    integers: Integers
    channels: bool
    symmetric: bool
    bits: int


def make(
    units: Iterable[Unit],
    ranges: Mapping[str, Range],
    skipped: Mapping[str, str],
    manner: Manner,
    given: Given | None = None,
) -> Plan:
    """The plan for units in the order of the graph, from the ranges of activations.

    given: grids that stay as they are. A unit whose activations have neither a grid nor a range stays as it is.
    """
    given = given or Given()
    kept = {name: retyped(grid, manner.integers.activation) for name, grid in given.activations.items()}
    grids = {name: grid for name, grid in kept.items() if grid is not None}
    weights: dict[str, Weight] = {}
    chosen: list[str] = []
    reasons: dict[str, str] = {}
    for unit in units:
        _from_zero(unit, grids)
        missing = _activations(unit, ranges, grids, manner)
        if missing is not None:
            reasons[unit.name] = f"the range of {missing} is unknown: {skipped.get(missing, 'it was not observed')}"
            continue
        if unit.weight is not None:
            read = grids[unit.data[0].name]
            weights[unit.name] = _unchanged(unit, given, manner) or rounded(unit, read, manner)
        chosen.append(unit.name)
    return Plan(tuple(chosen), grids, weights, reasons)


def _activations(unit: Unit, ranges: Mapping[str, Range], grids: dict[str, Grid], manner: Manner) -> str | None:
    """Give the unit's activations their grids. Returns the name of one that has no range."""
    for tensor in unit.data:
        if tensor.name not in grids:
            held = constant(tensor)
            edges = _edges(held) if held is not None else ranges.get(tensor.name)
            if edges is None:
                return tensor.name
            grids[tensor.name] = activation_grid(*edges, manner)
    if not manner.integers.requantises:
        return None
    if unit.inner is not None and unit.activation is not None:
        if unit.inner.name not in ranges:
            return unit.inner.name
        grids |= grids_of(unit.activation, ranges[unit.inner.name][1], manner.integers.activation)
    for tensor in unit.outputs:
        if unit.kernel.role is Role.MOVE:
            grids[tensor.name] = grids[unit.data[0].name]
        elif tensor.name not in grids:
            if tensor.name not in ranges:
                if gives_floats(unit):
                    continue
                return tensor.name
            grids[tensor.name] = activation_grid(*_within(unit, *ranges[tensor.name]), manner)
    return None


def _from_zero(unit: Unit, grids: dict[str, Grid]) -> None:
    """Let a given grid begin at zero behind a Relu, which its saturation then performs, and end where it ended."""
    grid = grids.get(unit.name)
    relu = unit.activation is not None and bounds(unit.activation) == (0.0, np.inf)
    if grid is not None and relu and grid.bottom < 0:
        grids[unit.name] = asymmetric(0.0, grid.top, grid.dtype)


def retyped(grid: Grid, dtype: DType) -> Grid | None:
    """The same numbers in integers of another type of as many bits; None where the bits differ."""
    if grid.dtype.itemsize != dtype.itemsize:
        return None
    (least, most), (low, _) = limits(dtype), limits(grid.dtype)
    zero = np.asarray(grid.zero.astype(np.int64) + least - low).astype(dtype)
    return Grid(dtype, grid.scale, zero, least, most, grid.axis)


def _unchanged(unit: Unit, given: Given, manner: Manner) -> Weight | None:
    """The integers that a weight had, if it still stands for the same numbers and the kernel takes them."""
    if unit.weight is None or unit.weight.name not in given.weights:
        return None
    integers, grid = given.weights[unit.weight.name]
    axis = unit.axis if manner.channels else None
    fits = grid.dtype == manner.integers.weight and not grid.zero.any() and (grid.axis is None or grid.axis == axis)
    if not fits or not np.array_equal(grid.dequantise(integers), unit.weight.values):
        return None
    bias = None if unit.bias is None else np.asarray(unit.bias.values, np.float64).reshape(-1)
    return Weight(integers, grid, bias)


def gives_floats(unit: Unit) -> bool:
    """Whether the integer kernel of the unit can write floats: those of matrix products can."""
    plain = unit.weight is not None and unit.activation is None and unit.inner is None
    return unit.node.op in ("Gemm", "MatMul") and plain


def _edges(held: Constant) -> tuple[float, float] | None:
    values = np.asarray(held.values, np.float64)
    finite = values.size and np.isfinite(values).all()
    return (float(values.min()), float(values.max())) if finite else None


def _within(unit: Unit, low: float, high: float) -> tuple[float, float]:
    """The range, not beyond where the activation function of the unit cuts."""
    cut = (-np.inf, np.inf) if unit.activation is None else bounds(unit.activation) or (-np.inf, np.inf)
    return max(low, cut[0]), min(high, cut[1])


def activation_grid(low: float, high: float, manner: Manner) -> Grid:
    """The grid for activations between `low` and `high`."""
    dtype = manner.integers.activation
    if manner.symmetric:
        return symmetric(max(-low, high, 0.0), dtype)
    return asymmetric(low, high, dtype)


def rounded(unit: Unit, read: Grid, manner: Manner) -> Weight:
    """The weight on its grid, to the nearest; `read` is the grid of the activation that it multiplies."""
    values = np.asarray(unit.own_weight.values, np.float64)
    bias = None if unit.bias is None else np.asarray(unit.bias.values, np.float64).reshape(-1)
    grid = weight_grid(values, bias, unit.axis if manner.channels else None, read, manner)
    return Weight(grid.quantise(values), grid, bias)


def weight_grid(values: Array, bias: Array | None, axis: int | None, read: Grid, manner: Manner) -> Grid:
    """The symmetric grid that holds a weight, and on which the bias fits into 32 bits.

    A channel without weights, but with a bias, has a scale that follows from the bias alone.
    """
    others = None if axis is None else tuple(place for place in range(values.ndim) if place != axis)
    reach = np.abs(values).max(axis=others, initial=0.0)
    most = 2 ** (manner.bits - 1) - (manner.bits == manner.integers.weight.itemsize * 8)
    if bias is not None:
        steps = np.abs(bias) if axis is not None and bias.shape == reach.shape else np.abs(bias).max(initial=0.0)
        reach = np.maximum(reach, steps / (LARGEST_BIAS * float(read.scale)) * most)
    least = SMALLEST / float(read.scale) * most  # the product of both scales is the scale of the bias
    grid = symmetric(np.where(reach > 0, np.maximum(reach, least), 0.0), manner.integers.weight, axis=axis)
    scale = np.where(reach > 0, np.maximum(reach, least) / most, 1.0).astype(np.float32)
    return replace(grid, scale=scale, low=-most, high=most)


def bias_grid(read: Grid, weight: Grid) -> Grid:
    """The grid of a bias: the integers of the sums to which it is added."""
    scale = np.asarray(read.scale.astype(np.float64) * weight.scale, np.float32)
    info = np.iinfo(np.int32)
    axis = 0 if scale.ndim else None
    return Grid(np.dtype(np.int32), scale, np.zeros(scale.shape, np.int32), info.min, info.max, axis)
