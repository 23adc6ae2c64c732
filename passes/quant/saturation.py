"""The 16-bit saturation of x86 without VNNI, emulated.

`vpmaddubsw` multiplies unsigned 8-bit activations by signed 8-bit weights and adds each two neighbours along the axis
that is summed, cutting the sum at 16 bits: 255 * 127 * 2 is almost twice what fits. Neighbours are as ONNX Runtime lays
its operands out: for a matrix two rows of the weight, for a convolution two channels at one place of the window. A
depthwise convolution has a kernel of its own that does not saturate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from graphopt.ir.types import Array
from graphopt.ir.words import counted
from graphopt.pipeline.journal import Status, Table, Verdict
from passes.quant.grid import Grid
from passes.quant.plan import Plan, Weight
from passes.quant.samples import Captured
from passes.quant.units import Unit

LEAST, MOST = -(2**15), 2**15 - 1
LARGEST = 255
"""The largest activation."""
ROWS = 64
"""Places of a result at which it is emulated."""
AT_ONCE = 1 << 23
"""Sums of two products that are held at a time."""


@dataclass(frozen=True)
class Emulated:
    """A layer as a processor without VNNI computes it.

    share: of the sums of two products that saturate. exact, saturated: the signal-to-noise ratio, in dB, of the result
    with exact sums and with saturating ones, against that in floats.
    """

    share: float
    exact: float
    saturated: float


def can_saturate(unit: Unit, weight: Weight) -> bool:
    """Whether some activations make sums of two products saturate."""
    return any(_overflows(part) for part in _matrices(unit, weight.values.astype(np.int32)))


def layers(units: Sequence[Unit], plan: Plan, batches: Captured, seed: int) -> dict[str, Emulated]:
    """The layers of a plan in which some sum of two products can saturate, emulated on what they are fed."""
    weighted = [unit for unit in units if unit.name in plan.weights and can_saturate(unit, plan.weights[unit.name])]
    return {
        unit.name: emulate(
            unit,
            plan.weights[unit.name],
            plan.grids[unit.data[0].name],
            [batch[unit.data[0].name] for batch in batches],
            seed,
        )
        for unit in weighted
    }


def unseen(count: int) -> str:
    """What to tell of layers that may saturate, where nothing was run to see whether they do."""
    return (
        f"sums of two products may saturate in 16 bits, which this target computes with, in {counted(count, 'layer')}; "
        "nothing was run to see whether they do (--calibration, --verify region). Weights of 7 bits (bits=7) cannot."
    )


def verdict(found: Emulated, floor: float) -> Verdict:
    """Whether a layer keeps its floor with saturation, which is in its numbers."""
    if found.saturated >= floor:
        return Verdict(Status.VERIFIED, found.saturated, "with sums that saturate in 16 bits, emulated")
    return Verdict(
        Status.WRONG,
        found.saturated,
        f"{found.share:.2%} of its sums of two products saturate in 16 bits without VNNI: {found.saturated:.1f} dB of "
        f"signal to noise instead of {found.exact:.1f}; weights of 7 bits (bits=7) cannot saturate",
    )


def table(found: Mapping[str, Emulated]) -> Table:
    """The layers whose sums saturate, the most first."""
    ordered = sorted(found.items(), key=lambda entry: -entry[1].share)
    rows = tuple((name, f"{one.share:.3%}", round(one.exact, 1), round(one.saturated, 1)) for name, one in ordered)
    return Table(TITLE, COLUMNS, rows, "On x86 without VNNI, emulated. Weights of 7 bits (bits=7) cannot saturate.")


TITLE = "layers whose sums saturate in 16 bits"
COLUMNS = ("layer", "sums that saturate", "SQNR exact", "SQNR saturated")


def _overflows(matrix: Array) -> bool:
    pairs = _pairs(matrix.T)
    reach = LARGEST * np.maximum(np.maximum(pairs, 0).sum(axis=-1), -np.minimum(pairs, 0).sum(axis=-1))
    return bool(reach.max(initial=0) > MOST)


def emulate(unit: Unit, weight: Weight, read: Grid, batches: Sequence[Array], seed: int) -> Emulated:
    """The unit on activations, at places drawn at random. batches: what it reads, in floats."""
    cut = pairs = 0
    reference: list[Array] = []
    exact: list[Array] = []
    held: list[Array] = []
    for batch in batches:
        reference += [rows @ matrix for rows, matrix in _floats(unit, batch, np.random.default_rng(seed))]
        for rows, matrix, scale in _operands(unit, weight, read, batch, np.random.default_rng(seed)):
            correction = int(read.zero) * matrix.sum(axis=0)
            all_of_it, saturated, count = _sums(rows, matrix)
            exact.append((all_of_it - correction) * scale)
            held.append((saturated - correction) * scale)
            cut, pairs = cut + count, pairs + len(rows) * matrix.shape[1] * -(-len(matrix) // 2)
    return Emulated(cut / max(1, pairs), _sqnr(reference, exact), _sqnr(reference, held))


def _sums(rows: Array, matrix: Array) -> tuple[Array, Array, int]:
    """The product of both, the same with saturation, and how many sums of two products saturate."""
    left, right = _pairs(rows), _pairs(matrix.T)
    exact, held, cut = [], [], 0
    chunk = max(1, AT_ONCE // max(1, right.size))
    for start in range(0, len(left), chunk):
        part = left[start : start + chunk, None]
        twos = part[..., 0] * right[None, ..., 0] + part[..., 1] * right[None, ..., 1]
        clipped = np.clip(twos, LEAST, MOST)
        cut += int((clipped != twos).sum())
        exact.append(twos.sum(axis=-1))
        held.append(clipped.sum(axis=-1))
    return np.concatenate(exact), np.concatenate(held), cut


def _sqnr(reference: Sequence[Array], found: Sequence[Array]) -> float:
    signal = sum(float(np.square(one).sum()) for one in reference)
    noise = sum(float(np.square(one - other).sum()) for one, other in zip(reference, found, strict=True))
    return float(10 * np.log10(max(signal, 1e-300) / max(noise, 1e-300)))


def _pairs(rows: Array) -> Array:
    """Rows (m, k) as (m, ceil(k / 2), 2), with a zero where there is no neighbour; int32."""
    padded = np.pad(rows.astype(np.int32), ((0, 0), (0, rows.shape[1] % 2)))
    return padded.reshape(len(rows), -1, 2)


def _operands(
    unit: Unit, weight: Weight, read: Grid, batch: Array, rng: np.random.Generator
) -> list[tuple[Array, Array, Array]]:
    """For each group: rows of activations as integers, the matrix that they are multiplied by, and the scale."""
    integers = read.quantise(batch).astype(np.int32)
    scales = np.broadcast_to(weight.grid.scale.astype(np.float64) * float(read.scale), (_columns(unit, weight.values),))
    matrices = _matrices(unit, weight.values.astype(np.int32))
    parts = np.split(scales, len(matrices))
    rows = _rows(unit, integers, int(read.zero), rng)
    return list(zip(rows, matrices, parts, strict=True))


def _floats(unit: Unit, batch: Array, rng: np.random.Generator) -> list[tuple[Array, Array]]:
    values = np.asarray(unit.own_weight.values, np.float64)
    return list(zip(_rows(unit, batch.astype(np.float64), 0, rng), _matrices(unit, values), strict=True))


def _columns(unit: Unit, values: Array) -> int:
    if unit.node.op == "Conv":
        return int(values.shape[0])
    return int(values.shape[-2 if unit.node.attrs.get("transB", 0) else -1])


def _matrices(unit: Unit, values: Array) -> list[Array]:
    """The weight as a matrix (k, columns) for each group, rows in the order in which they are summed."""
    if unit.node.op != "Conv":
        flat = values.T if unit.node.attrs.get("transB", 0) else values.reshape(-1, *values.shape[-2:])[0]
        return [flat]
    last = np.moveaxis(values, 1, -1)
    if values.shape[1] == 1 and unit.node.attrs.get("group", 1) > 1:
        return []
    return [part.reshape(len(part), -1).T for part in np.split(last, unit.node.attrs.get("group", 1))]


def _rows(unit: Unit, values: Array, padding: float, rng: np.random.Generator) -> list[Array]:
    """What the weight is multiplied by: (places, k) for each group, at places drawn at random."""
    if unit.node.op != "Conv":
        rows = values.reshape(-1, values.shape[-1])
        return [rows[_drawn(len(rows), rng)]]
    windows = _windows(unit, values, padding)
    rank = (windows.ndim - 2) // 2
    places = np.moveaxis(windows, 1, -1).reshape(-1, *windows.shape[2 + rank :], windows.shape[1])
    chosen = places[_drawn(len(places), rng)]
    groups = unit.node.attrs.get("group", 1)
    return [part.reshape(len(part), -1) for part in np.split(chosen, groups, axis=-1)]


def _windows(unit: Unit, values: Array, padding: float) -> Array:
    """(n, channels, *places, *window) of what a convolution reads."""
    attrs, shape = unit.node.attrs, unit.weight.shape[2:] if unit.weight is not None else ()
    rank = len(shape)
    strides, dilations = attrs.get("strides", [1] * rank), attrs.get("dilations", [1] * rank)
    reach = [(size - 1) * step + 1 for size, step in zip(shape, dilations, strict=True)]
    pads = _pads(attrs, values.shape[2:], reach, strides)
    padded = np.pad(values, [(0, 0), (0, 0), *pads], constant_values=padding)
    windows = sliding_window_view(padded, reach, axis=tuple(range(2, 2 + rank)))
    steps = (
        slice(None),
        slice(None),
        *(slice(None, None, s) for s in strides),
        *(slice(None, None, d) for d in dilations),
    )
    return windows[steps]


def _pads(
    attrs: dict[str, object], sizes: Sequence[int], reach: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    given = attrs.get("pads")
    auto = attrs.get("auto_pad", "NOTSET")
    kind = auto.decode() if isinstance(auto, bytes) else str(auto)
    rank = len(sizes)
    if kind.startswith("SAME"):
        wanted = [
            max(0, (-(-size // step) - 1) * step + window - size)
            for size, window, step in zip(sizes, reach, strides, strict=True)
        ]
        less = [total // 2 for total in wanted]
        lower = [(total - half, half) for total, half in zip(wanted, less, strict=True)]
        return lower if kind == "SAME_LOWER" else [(after, before) for before, after in lower]
    if not isinstance(given, list) or kind == "VALID":
        return [(0, 0)] * rank
    return [(given[axis], given[axis + rank]) for axis in range(rank)]


def _drawn(count: int, rng: np.random.Generator) -> Array:
    return np.arange(count) if count <= ROWS else np.sort(rng.choice(count, ROWS, replace=False))
