"""Operators that move elements along named axes: Concat, Split, Slice, Pad, Resize, Gather, Tile, Expand."""

from __future__ import annotations

import numpy as np

from graphopt.ir.types import Array
from passes.layout.axes import Axes, Call, Change, Turned, operators
from passes.layout.operators.arithmetic import SMOOTH
from passes.layout.orders import Letters, identity

PADS_AS_INPUT = 11
SLICE_AS_INPUT = 10
SINGLE, AXES = 1, 3


@operators("Concat")
def concat(call: Call) -> Axes | None:
    """All operands have the axes of the result."""
    rank = call.rank(call.node.outputs[0])
    if not rank or "axis" not in call.node.attrs:
        return None
    axis = int(call.attr("axis")) % rank
    return Axes(
        (identity(rank),) * len(call.node.inputs), (identity(rank),), identity(rank), lambda t: _axis(t.result(), axis)
    )


@operators("Split")
def split(call: Call) -> Axes | None:
    """All results have the axes of the operand."""
    rank = call.rank(call.node.inputs[0])
    if not rank:
        return None
    axis = int(call.attr("axis", 0)) % rank
    inputs = (identity(rank), *(None,) * (len(call.node.inputs) - 1))
    outputs = (identity(rank),) * len(call.node.outputs)
    return Axes(inputs, outputs, identity(rank), lambda t: _axis(t.first(), axis))


def _axis(letters: Letters, axis: int) -> Change:
    return Change({"axis": letters.index(axis)})


@operators("Slice")
def slice_(call: Call) -> Axes | None:
    """Axes are named, or the first ones."""
    rank = call.rank(call.node.inputs[0])
    if rank is None:
        return None
    as_input = call.opset >= SLICE_AS_INPUT
    starts = call.shapes.static(call.node.inputs[1]) if as_input else (len(call.attr("starts", ())),)
    named = call.has(AXES) if as_input else "axes" in call.node.attrs
    axes = call.numbers(AXES) if as_input else call.attr("axes")
    if starts is None or len(starts) != SINGLE or (named and axes is None):
        return None
    taken = [int(axis) % rank for axis in axes] if named and axes is not None else list(range(starts[0]))
    dtype = call.shapes.dtype(call.node.inputs[1]) if as_input else None
    if as_input and dtype is None:
        return None

    def retune(turned: Turned) -> Change:
        new = [turned.first().index(axis) for axis in taken]
        return Change(inputs={AXES: np.array(new, dtype)}) if as_input else Change({"axes": new})

    inputs = (identity(rank), *(None,) * (max(len(call.node.inputs), as_input * (AXES + 1)) - 1))
    return Axes(inputs, (identity(rank),), identity(rank), retune)


@operators("Pad")
def pad(call: Call) -> Axes | None:
    """Paddings are listed for all axes, or for those named."""
    rank = call.rank(call.node.inputs[0])
    if rank is None:
        return None
    as_input = call.opset >= PADS_AS_INPUT
    pads = call.values(1) if as_input else np.array(call.attr("pads", ()), np.int64)
    named = call.numbers(AXES)
    if pads is None or (call.has(AXES) and named is None) or pads.size != 2 * (rank if named is None else len(named)):
        return None

    def retune(turned: Turned) -> Change:
        if named is not None:
            new = np.array([turned.first().index(axis % rank) for axis in named], np.int64)
            return Change(inputs={AXES: new})
        new = pads.reshape(2, rank)[:, list(turned.first())].reshape(-1)
        return Change(inputs={1: new}) if as_input else Change({"pads": new.tolist()})

    inputs = (identity(rank), *(None,) * (len(call.node.inputs) - 1))
    return Axes(inputs, (identity(rank),), identity(rank), retune)


@operators("Resize")
def resize(call: Call) -> Axes | None:
    """Scales or sizes are listed for all axes; batch and channels come first where elements are interpolated."""
    rank = call.rank(call.node.inputs[0])
    if rank is None or call.opset < PADS_AS_INPUT or call.attr("axes") is not None or _given(call, 1):
        return None
    mode = call.attr("mode", "nearest")
    lists = {index: found for index in (2, 3) if (found := _constant(call, index)) is not None}
    if any(_given(call, index) and index not in lists for index in (2, 3)) or not lists:
        return None
    if any(found.size != rank for found in lists.values()):
        return None

    def retune(turned: Turned) -> Change | None:
        first = turned.first()
        if mode not in ("nearest", b"nearest") and first[:2] != (0, 1):
            return None
        return Change(inputs={index: found[list(first)] for index, found in lists.items()})

    inputs = (identity(rank), *(None,) * (len(call.node.inputs) - 1))
    return Axes(inputs, (identity(rank),), identity(rank), retune, SMOOTH)


def _given(call: Call, index: int) -> bool:
    """Whether an input is there and not an empty list, as older exporters write what is absent."""
    return call.has(index) and call.shapes.static(call.node.inputs[index]) != (0,)


def _constant(call: Call, index: int) -> Array | None:
    from graphopt.ir.values import constant

    held = constant(call.node.inputs[index]) if _given(call, index) else None
    return None if held is None else held.values


@operators("Gather")
def gather(call: Call) -> Axes | None:
    """One axis of the data is replaced by the axes of the indices."""
    rank, width = (call.rank(tensor) for tensor in call.node.inputs)
    if not rank or width is None:
        return None
    axis = int(call.attr("axis", 0)) % rank
    before, after = tuple(range(axis)), tuple(range(axis + 1, rank))
    if width <= SINGLE:
        result = (*before, *(axis,) * width, *after)
        return Axes((identity(rank), None), (result,), identity(rank), lambda t: _axis(t.first(), axis))
    indices = tuple(range(rank, rank + width))

    def retune(turned: Turned) -> Change | None:
        first = turned.first().index(axis)
        return Change({"axis": first}) if turned.result()[first : first + width] == turned.inputs[1] else None

    result = (*before, *indices, *after)
    return Axes((identity(rank), indices), (result,), (*before, *indices, axis, *after), retune)


@operators("Tile")
def tile(call: Call) -> Axes | None:
    """A number of repetitions for each axis."""
    rank, repeats = call.rank(call.node.inputs[0]), call.values(1)
    if rank is None or repeats is None or repeats.size != rank:
        return None
    return Axes(
        (identity(rank), None), (identity(rank),), identity(rank),
        lambda t: Change(inputs={1: repeats[list(t.first())]}),
    )  # fmt: skip


@operators("Expand")
def expand(call: Call) -> Axes | None:
    """A length for each axis of the result."""
    rank, target = call.rank(call.node.inputs[0]), call.values(1)
    if rank is None or target is None or target.size != rank:
        return None
    return Axes(
        (identity(rank), None), (identity(rank),), identity(rank),
        lambda t: Change(inputs={1: target[list(t.first())]}),
    )  # fmt: skip
