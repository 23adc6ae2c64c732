"""What makes integer kernels fast on x86: how operands lie, and which of two kernels multiplies. Results stay the same.

ONNX Runtime has a convolution for weights whose zero is 0, which takes channels in fours, and a matrix product, which
takes any weights and, alone, runs on matrix tiles (AMX). Its products of unequal shapes go run by run of equal memory.
All that is decided here are facts of those kernels, measured: see `tests/bench/quantised_speed.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from graphopt.analysis.shapes import Shapes
from graphopt.ir.types import Array, Shape, Tensor
from passes.quant.grid import Grid
from passes.quant.kernels import Integers
from passes.quant.plan import Plan, Weight
from passes.quant.units import Unit

TILE_ROWS = 16
IMAGE = 4
"""The rank of a batch of pictures, whose layouts these are."""
CHANNELS_LAST, CHANNELS_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
FOURS = 4
"""What the number of channels is a multiple of, and how many pixels of a row become one where it is not."""
LEAST_FILTERS, MOST_FILTERS = 16, 128
"""How many results of such a pixel the kernel is fast for."""
SHORT_RUN = 256
"""Bytes up to which a run costs more to set up than to multiply."""

CONVOLUTION, TILES = 1 / 240, 1 / 800
"""Nanoseconds for a multiplication, in the convolution and on tiles."""
ROUNDING, COPY, FAR_COPY = 0.9, 0.1, 0.3
"""Nanoseconds for an element of the result, of a copied window, and of one that leaves the cache, on tiles."""
CACHE = 1_200_000
SETUP = 8_000
"""Nanoseconds that a product on tiles takes however small it is."""
GAIN = 0.8
"""Tiles are taken if they need less than this share of the time of the convolution."""


@dataclass(frozen=True)
class Step:
    """A call on the integers of an operand. constants: its other operands."""

    op: str
    constants: tuple[Array, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """How a unit is written differently.

    steps: what its operands go through, by position. attrs: of its call. after: what its result goes through.
    """

    steps: Mapping[int, tuple[Step, ...]]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[Step, ...] = ()


def tuned(plan: Plan, units: Iterable[Unit], shapes: Shapes, integers: Integers) -> tuple[Plan, dict[str, Layout]]:
    """The plan with other weights of the same meaning, and the layouts of units, by name."""
    weights, layouts = dict(plan.weights), {}
    for unit in units:
        if unit.node.op == "Mul" and integers.fours:
            steps = repeated(unit, shapes)
            if steps:
                layouts[unit.name] = Layout(steps)
        if unit.node.op != "Conv":
            continue
        if integers.fours:
            made = _in_fours(unit, weights[unit.name], plan.grids[unit.data[0].name], shapes, integers)
            if made is not None:
                layouts[unit.name], weights[unit.name] = made
        if integers.tiles and unit.name not in layouts and on_tiles(unit, shapes):
            weights[unit.name] = shifted(weights[unit.name])
    return replace(plan, weights=weights), layouts


# ---- products of unequal shapes ----


def repeated(unit: Unit, shapes: Shapes) -> dict[int, tuple[Step, ...]]:
    """Repeat a factor for each channel along the rows of the other, so that the two run together for a whole row."""
    found = [_image(tensor, shapes) for tensor in unit.data]
    for place, (small, large) in enumerate(zip(found, found[::-1], strict=True)):
        if small is None or large is None or small[:2] != large[:2] or small[2:] != (1, 1):
            continue
        channels, width = large[1], large[3]
        if isinstance(channels, int) and isinstance(width, int) and channels <= SHORT_RUN and width > 1:
            return {place: (Step("Tile", (np.array([1, 1, 1, width], np.int64),)),)}
    return {}


def _image(tensor: Tensor, shapes: Shapes) -> Shape | None:
    """The shape of a batch of pictures."""
    shape = shapes.shape(tensor)
    return shape if shape is not None and len(shape) == IMAGE else None


def _pixels(tensor: Tensor, shapes: Shapes) -> tuple[int, int] | None:
    """The height and width of pictures, where they are known."""
    _, _, height, width = _image(tensor, shapes) or (None,) * IMAGE
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


# ---- convolutions in fours ----


def _in_fours(
    unit: Unit, weight: Weight, grid: Grid, shapes: Shapes, integers: Integers
) -> tuple[Layout, Weight] | None:
    """For a convolution of what no kernel computed: its operand with a multiple of four channels, and the weight."""
    source, values = unit.data[0], weight.values
    computed = source.producer is not None and source.producer.op in integers.kernels
    missing = -values.shape[1] % FOURS
    if computed or not missing or values.ndim != IMAGE or unit.node.attrs.get("group", 1) != 1:
        return None
    if _side_by_side(unit, shapes):
        return _grouped(unit, weight, shapes)
    filling = np.array([0, 0, 0, 0, 0, missing, 0, 0], np.int64)
    values = np.pad(values, ((0, 0), (0, missing), (0, 0), (0, 0)))
    return Layout({0: (Step("Pad", (filling, grid.zero)),)}), replace(weight, values=values)


def _side_by_side(unit: Unit, shapes: Shapes) -> bool:
    """Whether four pixels of a row may become one: as many results for each, and not too many channels of them."""
    attrs, given, result = unit.node.attrs, _pixels(unit.data[0], shapes), _pixels(unit.node.outputs[0], shapes)
    plain = attrs.get("auto_pad", "NOTSET") in ("NOTSET", b"NOTSET") and set(attrs.get("dilations", [1])) == {1}
    if not plain or given is None or result is None or unit.weight is None:
        return False
    stride, left = int(attrs.get("strides", [1, 1])[1]), int(attrs.get("pads", [0, 0])[1])
    even = FOURS % stride == given[1] % FOURS == 0 and result[1] * stride == given[1] and left < unit.weight.shape[3]
    return even and LEAST_FILTERS <= unit.weight.shape[0] * FOURS // stride <= MOST_FILTERS


def _grouped(unit: Unit, weight: Weight, shapes: Shapes) -> tuple[Layout, Weight]:
    """The convolution on groups of four pixels of a row, which in memory are one pixel with the channels of all."""
    attrs = unit.node.attrs
    down, stride = attrs.get("strides", [1, 1])
    top, left, bottom, _ = attrs.get("pads", [0, 0, 0, 0])
    filters, channels = weight.values.shape[:2]
    _, width = _pixels(unit.data[0], shapes) or (0, 0)
    values, before, after = grouped(weight.values, stride, left)
    sizes = {"kernel_shape": list(values.shape[2:]), "strides": [down, 1], "pads": [top, before, bottom, after]}
    steps = {0: _rows(width // FOURS, channels * FOURS)}
    times, grid = FOURS // stride, weight.grid
    if grid.scale.ndim:
        grid = replace(grid, scale=np.tile(grid.scale, times), zero=np.tile(grid.zero, times))
    bias = None if weight.bias is None else np.tile(weight.bias, times)
    return Layout(steps, sizes, _rows(width // stride, filters)), Weight(values, grid, bias)


def _rows(width: int, channels: int) -> tuple[Step, ...]:
    """Rows of so many pixels with so many channels, where the channels of a pixel lie together."""
    return (
        Step("Transpose", (), {"perm": CHANNELS_LAST}),
        Step("Reshape", (np.array([0, 0, width, channels], np.int64),)),
        Step("Transpose", (), {"perm": CHANNELS_FIRST}),
    )


def grouped(values: Array, stride: int, left: int) -> tuple[Array, int, int]:
    """The weight (M, C, h, w) as one for groups of four pixels, and how many groups lie before and after a row.

    Tap t of output o of a group reads the pixel stride o + t - left, counted from the first of its group. Of shape
    (4 / stride M, 4 C, h, groups), with pixels and outputs before the channels that they have.
    """
    filters, channels, height, width = values.shape
    outputs = FOURS // stride
    before, after = -(-left // FOURS), (stride * (outputs - 1) + width - 1 - left) // FOURS
    made = np.zeros((outputs, filters, FOURS, channels, height, before + 1 + after), values.dtype)
    for output in range(outputs):
        for tap in range(width):
            group, pixel = divmod(stride * output + tap - left, FOURS)
            made[output, :, pixel, :, :, before + group] = values[..., tap]
    return made.reshape(outputs * filters, FOURS * channels, height, -1), before, after


# ---- tiles ----


def on_tiles(unit: Unit, shapes: Shapes) -> bool:
    """Whether a convolution is faster as a product on matrix tiles."""
    result = _pixels(unit.node.outputs[0], shapes)
    if unit.weight is None or result is None or unit.node.attrs.get("group", 1) != 1:
        return False
    filters, *window = unit.weight.shape
    pixels, taps = prod(result), prod(window)
    copied = 0 if prod(window[1:]) == 1 and set(unit.node.attrs.get("strides", [1])) == {1} else pixels * taps
    work = pixels * taps * filters
    tiles = SETUP + work * TILES + pixels * filters * ROUNDING + copied * (COPY if copied < CACHE else FAR_COPY)
    return pixels >= TILE_ROWS and tiles < GAIN * work * CONVOLUTION


def shifted(weight: Weight) -> Weight:
    """The same weight with -1 for its zero: the integers of a symmetric grid leave out the least one."""
    grid = weight.grid
    zero = np.full_like(grid.zero, -1)
    if grid.zero.any() or weight.values.min(initial=0) <= np.iinfo(grid.dtype).min:
        return weight
    moved = replace(grid, zero=zero, low=grid.low - 1, high=grid.high - 1)
    return replace(weight, values=weight.values - np.ones((), weight.values.dtype), grid=moved)
