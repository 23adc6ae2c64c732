"""Operators that only move elements: whole axes, and parts of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphopt.analysis.operators.cutting import taken
from graphopt.ir.types import Array, Tensor
from graphopt.ir.values import constant
from passes.prune.sites import ONE
from passes.prune.ties.call import INTEGER, Call, Change, Kept, index, others, ties
from passes.prune.ties.role import Role, Untold

BY_INPUT = {"Split": 13, "Slice": 10, "Pad": 11}
"""Operators, and the version of ai.onnx from which on numbers are inputs rather than attributes."""


@ties("Transpose")
def transpose(call: Call) -> None:
    """Axes change places."""
    sites, made = call.axes(call.x), call.axes(call.y)
    for other, axis in zip(made, call.attr("perm", range(len(sites))[::-1]), strict=True):
        call.sites.tie(sites[axis], other)


@ties("Concat")
def concat(call: Call) -> None:
    """Along the axis the inputs follow each other."""
    along = call.axis(call.y)
    offset = 0
    for tensor in call.inputs:
        others(call, tensor, call.y, {along})
        offset += _part(call, tensor, call.y, along, offset)


def _part(call: Call, part: Tensor, whole: Tensor, axis: int, offset: int) -> int:
    """The part lies in the whole, from `offset` on. Returns its size."""
    site, other = call.axes(part)[axis], call.axes(whole)[axis]
    size = call.size(part, axis)
    if site == ONE:
        call.sites.pin(other, f"{call.node.op} has a single index there", index(1) + offset)
    else:
        call.sites.tie_at(site, index(size), other, index(size) + offset)
    return size


def _sizes(call: Call, kept: Kept) -> Change:
    axis = call.axis(call.x)
    sizes = [kept.size(made, axis) for made in call.outputs]
    if call.opset < BY_INPUT["Split"]:
        return Change({"split": sizes})
    return Change({"num_outputs": None}, {1: np.array(sizes, INTEGER)})


@ties("Split", retune=_sizes)
def split(call: Call) -> None:
    """The outputs follow each other along the axis."""
    along = call.axis(call.x)
    offset = 0
    for made in call.outputs:
        if not made.name:
            raise Untold("a part of it is not used")
        others(call, call.x, made, {along})
        offset += _part(call, made, call.x, along, offset)


def _parts(call: Call) -> list[int]:
    """The sizes of what SplitToSequence makes. Raises Untold where they are not known."""
    sizes, whole = call.numbers(1), call.size(call.x, call.axis(call.x))
    if sizes is None or not call.attr("keepdims", 1):
        raise Untold("its sizes are not known")
    scalar = call.sites.shapes.rank(call.inputs[1]) == 0
    return [min(sizes[0], whole - start) for start in range(0, whole, sizes[0])] if scalar else sizes


def _sequence_sizes(call: Call, kept: Kept) -> Change:
    left = kept.indices(call.x, call.axis(call.x))
    ends = np.searchsorted(left, np.cumsum(_parts(call)))
    return Change(inputs={1: np.diff(ends, prepend=0).astype(INTEGER)})


@ties("SplitToSequence", retune=_sequence_sizes)
def split_to_sequence(call: Call) -> None:
    """As Split, with the parts that SequenceAt takes out."""
    along, parts = call.axis(call.x), _parts(call)
    for reader in call.y.outputs:
        place = constant(reader.inputs[1]) if reader.op == "SequenceAt" and not reader.domain else None
        if place is None:
            raise Untold("its parts are taken at places that are not known")
        number = int(place.values) % len(parts)
        made = reader.outputs[0]
        others(call, call.x, made, {along})
        _part(call, made, call.x, along, sum(parts[:number]))


@ties("SequenceAt")
def sequence_at(call: Call) -> None:
    """SplitToSequence has said it all; of other sequences nothing is known."""
    made = call.ties.makers.get(call.x)
    if made is None or made.node.op != "SplitToSequence":
        raise Untold("its sequence is not one of parts")


@dataclass(frozen=True)
class _Slice:
    """What a Slice takes of one axis; start and end as written, place: which of its bounds they are."""

    axis: int
    place: int
    index: Array


def _slices(call: Call) -> tuple[list[_Slice], list[int], list[int]]:
    """What is taken of each axis, and the bounds as written. Raises Untold where they are not known."""
    if call.opset < BY_INPUT["Slice"]:
        starts, ends, axes, steps = call.attr("starts"), call.attr("ends"), call.attr("axes"), None
    else:
        starts, ends, axes, steps = (call.numbers(position) for position in range(1, 5))
        if (axes is None and call.has(3)) or (steps is None and call.has(4)):
            raise Untold("its axes are not known")
    if starts is None or ends is None:
        raise Untold("its bounds are not known")
    rank = call.rank(call.x)
    axes = list(range(len(starts))) if axes is None else [axis % rank for axis in axes]
    steps = [1] * len(starts) if steps is None else steps
    bounds = zip(axes, range(rank), starts, ends, steps, strict=False)
    return (
        [
            _Slice(axis, place, index(call.size(call.x, axis))[list(taken(call.size(call.x, axis), start, end, step))])
            for axis, place, start, end, step in bounds
            if call.axes(call.x)[axis] >= 0
        ],
        list(starts),
        list(ends),
    )


def _moved_bounds(call: Call, kept: Kept) -> Change:
    """Bounds are counted in what is left."""
    slices, starts, ends = _slices(call)
    for one in slices:
        left = kept.indices(call.x, one.axis)
        if len(left) < call.size(call.x, one.axis) and len(one.index):
            starts[one.place] = int(np.searchsorted(left, one.index[0]))
            ends[one.place] = int(np.searchsorted(left, one.index[-1], side="right"))
    if call.opset < BY_INPUT["Slice"]:
        return Change({"starts": starts, "ends": ends})
    return Change(inputs={1: np.array(starts, INTEGER), 2: np.array(ends, INTEGER)})


@ties("Slice", retune=_moved_bounds)
def slice_(call: Call) -> None:
    """A part of each axis."""
    try:
        slices = _slices(call)[0]
    except Untold as reason:
        axes = call.attr("axes") if call.opset < BY_INPUT["Slice"] else call.numbers(3)
        if axes is None:
            raise
        chosen = {axis % call.rank(call.x) for axis in axes}
        others(call, call.x, call.y, chosen)
        for axis in chosen:
            call.pin(call.x, axis, f"Slice: {reason}")
            call.pin(call.y, axis, f"Slice: {reason}")
        return
    others(call, call.x, call.y, {one.axis for one in slices})
    for one in slices:
        _slice(call, one)


def _slice(call: Call, one: _Slice) -> None:
    site, made = call.axes(call.x)[one.axis], call.axes(call.y)[one.axis]
    if len(one.index) < 1 or not np.array_equal(one.index, one.index[0] + index(len(one.index))):
        call.sites.pin(site, "Slice takes it in steps")
        call.sites.pin(made, "Slice takes it in steps")
    elif made == ONE:
        call.sites.pin(site, "Slice takes a single index of it", one.index)
    else:
        call.sites.tie_at(site, one.index, made, index(len(one.index)))


@ties("Pad")
def pad(call: Call) -> None:
    """What is added at the ends belongs to nothing."""
    before = call.attr("pads", call.attr("paddings")) if call.opset < BY_INPUT["Pad"] else call.numbers(1)
    rank = call.rank(call.x)
    axes = call.numbers(3) if call.has(3) else list(range(rank))
    if before is None or axes is None:
        raise Untold("its widths are not known")
    widths = {axis % rank: (low, high) for axis, low, high in zip(axes, before, before[len(axes) :], strict=False)}
    padded = {axis for axis, width in widths.items() if width != (0, 0)}
    others(call, call.x, call.y, padded)
    for axis in padded:
        low, high = widths[axis]
        if min(low, high) < 0 or call.attr("mode", b"constant") not in ("constant", b"constant"):
            call.pin(call.x, axis, "Pad repeats or takes some of it")
            call.pin(call.y, axis, "Pad repeats or takes some of it")
        else:
            _part(call, call.x, call.y, axis, low)


def _places(call: Call, kept: Kept) -> Change:
    """Indices are counted in what is left."""
    numbers = call.numbers(1)
    axis = call.axis(call.x)
    left = kept.indices(call.x, axis)
    if numbers is None or len(left) == call.size(call.x, axis):
        return Change()
    size = call.size(call.x, axis)
    stay = [number % size for number in numbers if number % size in set(left.tolist())]
    return Change(inputs={1: np.searchsorted(left, stay).astype(INTEGER)})


@ties("Gather", retune=_places)
def gather(call: Call) -> None:
    """Known indices pick what stays beside each other; computed ones look rows up in a table."""
    axis = call.axis(call.x)
    deep = call.rank(call.inputs[1])
    x, y = call.axes(call.x), call.axes(call.y)
    for place in range(len(x)):
        if place != axis:
            call.sites.tie(x[place], y[place if place < axis else place + deep - 1])
            if call.weight(0):
                call.role(0, place, Role.PRODUCER)
    for place, site in enumerate(call.axes(call.inputs[1])):
        if deep != 1 or call.numbers(1) is None:
            call.sites.tie(site, y[axis + place])
    numbers = call.numbers(1)
    if numbers is None or deep != 1 or x[axis] < 0:
        call.sites.pin(x[axis], "Gather looks it up")
        return
    chosen = np.array(numbers) % call.size(call.x, axis)
    if y[axis] == ONE:
        call.sites.pin(x[axis], "Gather takes a single index of it")
    else:
        call.sites.tie_at(x[axis], chosen, y[axis], index(len(chosen)))


@ties("GatherND")
def gather_nd(call: Call) -> None:
    """Looks up along the leading axes of the first input; those behind them are the last ones of the output."""
    indices = call.inputs[1]
    looked_up = call.size(indices, -1) + int(call.attr("batch_dims", 0))
    for axis in range(call.rank(call.x)):
        if axis < looked_up:
            call.pin(call.x, axis, "GatherND looks it up")
        else:
            call.same(call.x, axis, call.y, axis - call.rank(call.x))
    leading = call.rank(call.y) - (call.rank(call.x) - looked_up)
    call.pin_all("GatherND looks up by it", [indices])
    for axis in range(leading):
        call.pin(call.y, axis, "GatherND looks it up")
    if call.weight(0):
        for axis in range(looked_up, call.rank(call.x)):
            call.role(0, axis, Role.PRODUCER)


@ties("Tile")
def tile(call: Call) -> None:
    """Axes that are not repeated."""
    repeats = call.numbers(1)
    if repeats is None:
        raise Untold("its repeats are not known")
    repeated = {axis for axis, count in enumerate(repeats) if count != 1}
    others(call, call.x, call.y, repeated)
    for axis in repeated:
        call.pin(call.x, axis, "Tile repeats it")
        call.pin(call.y, axis, "Tile repeats it")


def _depth(call: Call, deep: Tensor, flat: Tensor, *, leading: bool) -> None:
    """A channel of the flat tensor is a block of b x b channels of the deep one."""
    square = int(call.attr("blocksize")) ** 2
    channels = call.size(deep, 1)
    value = index(channels) % (channels // square) if leading else index(channels) // square
    for tensor in (deep, flat):
        for axis in (2, 3):
            call.pin(tensor, axis, f"{call.node.op} interleaves it")
    call.same(deep, 0, flat, 0)
    if call.axes(flat)[1] == ONE:
        call.pin(deep, 1, f"{call.node.op} makes one channel of it")
    else:
        call.sites.tie_at(call.axes(deep)[1], index(channels), call.axes(flat)[1], value)


@ties("DepthToSpace")
def depth_to_space(call: Call) -> None:
    """Blocks of channels become squares."""
    _depth(call, call.x, call.y, leading=call.attr("mode", b"DCR") in ("DCR", b"DCR"))


@ties("SpaceToDepth")
def space_to_depth(call: Call) -> None:
    """Squares become blocks of channels, the places in the square leading."""
    _depth(call, call.y, call.x, leading=True)
