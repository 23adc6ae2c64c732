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

IMAGE = 4
"""The rank of a batch of pictures, whose layouts these are."""
CHANNELS_LAST, CHANNELS_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
FOLDED_KERNEL = 5
"""From this size on a kernel of stride 2 is faster on a quarter of the pixels with four times the channels."""
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
    """How a unit is written differently. steps: what its operands go through, by position. attrs: of its call."""

    steps: Mapping[int, tuple[Step, ...]]
    attrs: Mapping[str, Any] = field(default_factory=dict)


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
    source, attrs, values = unit.data[0], unit.node.attrs, weight.values
    computed = source.producer is not None and source.producer.op in integers.kernels
    missing = -values.shape[1] % 4
    if computed or not missing or values.ndim != IMAGE or attrs.get("group", 1) != 1:
        return None
    filling = np.array([0, 0, 0, 0, 0, missing, 0, 0], np.int64)
    steps: tuple[Step, ...] = (Step("Pad", (filling, grid.zero)),)
    values = np.pad(values, ((0, 0), (0, missing), (0, 0), (0, 0)))
    height, width = _pixels(source, shapes) or (1, 1)
    if height % 2 or width % 2 or not _folds(unit):
        return Layout({0: steps}), replace(weight, values=values)
    values, pads = folded(values, attrs.get("pads", [0, 0, 0, 0]))
    steps += _blocks(values.shape[1] // 4, height // 2, width // 2)
    sizes = {"kernel_shape": list(values.shape[2:]), "strides": [1, 1], "pads": pads}
    return Layout({0: steps}, sizes), replace(weight, values=values)


def _folds(unit: Unit) -> bool:
    attrs = unit.node.attrs
    plain = attrs.get("auto_pad", "NOTSET") in ("NOTSET", b"NOTSET") and set(attrs.get("dilations", [1])) == {1}
    sizes = (unit.weight.shape if unit.weight is not None else ())[2:]
    return plain and list(attrs.get("strides", [])) == [2, 2] and min(sizes) >= FOLDED_KERNEL


def _blocks(channels: int, height: int, width: int) -> tuple[Step, ...]:
    """Blocks of two by two pixels as one pixel with four times the channels: rows, columns, then old channels."""
    apart = np.array([0, height, 2, width, 2 * channels], np.int64)
    together = np.array([0, height, width, 4 * channels], np.int64)
    return (
        Step("Transpose", (), {"perm": CHANNELS_LAST}),
        Step("Reshape", (apart,)),
        Step("Transpose", (), {"perm": [0, 1, 3, 2, 4]}),
        Step("Reshape", (together,)),
        Step("Transpose", (), {"perm": CHANNELS_FIRST}),
    )


def folded(values: Array, pads: Iterable[int]) -> tuple[Array, list[int]]:
    """The weight (M, C, h, w) of a convolution of stride 2 as one (M, 4 C, h', w') of stride 1 on blocks; and its pads.

    Tap i of a row lies at pixel 2 o + i - p of an output o: in block o + (i - p) // 2, at place (i - p) % 2 in it.
    """
    top, left, bottom, right = pads
    (rows, before, after), (columns, west, east) = (
        _taps(size, start, end) for size, start, end in zip(values.shape[2:], (top, left), (bottom, right), strict=True)
    )
    filters, channels = values.shape[:2]
    made = np.zeros((filters, 2, 2, channels, len(rows), len(columns)), values.dtype)
    for block, row in enumerate(rows):
        for other, column in enumerate(columns):
            for down, tap in enumerate(row):
                for across, place in enumerate(column):
                    if tap is not None and place is not None:
                        made[:, down, across, :, block, other] = values[:, :, tap, place]
    return made.reshape(filters, 4 * channels, len(rows), len(columns)), [before, west, after, east]


def _taps(size: int, start: int, end: int) -> tuple[list[list[int | None]], int, int]:
    """For each block of two pixels the taps on them, if any; and how many blocks lie before and after the picture.

    An even picture of n blocks gives (2 n + start + end - size) // 2 + 1 outputs, with or without blocks.
    """
    first, last = -start // 2, (size - 1 - start) // 2
    blocks = range(first, last + 1)
    taps = [[2 * block + place + start for place in (0, 1)] for block in blocks]
    outputs_less = (start + end - size) // 2
    after = outputs_less + len(blocks) + first
    return [[tap if 0 <= tap < size else None for tap in pair] for pair in taps], -first, after


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
    return pixels >= 16 and tiles < GAIN * work * CONVOLUTION  # noqa: PLR2004 - rows of a tile


def shifted(weight: Weight) -> Weight:
    """The same weight with -1 for its zero: the integers of a symmetric grid leave out the least one."""
    grid = weight.grid
    zero = np.full_like(grid.zero, -1)
    if grid.zero.any() or weight.values.min(initial=0) <= np.iinfo(grid.dtype).min:
        return weight
    moved = replace(grid, zero=zero, low=grid.low - 1, high=grid.high - 1)
    return replace(weight, values=weight.values - np.ones((), weight.values.dtype), grid=moved)
