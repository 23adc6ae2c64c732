"""Operators that only move elements."""

from __future__ import annotations

import numpy as np

from graphopt.ir.types import Tensor
from passes.prune.reshape import Block, digits, matched, runs
from passes.prune.sites import ONE
from passes.prune.ties.call import FOLLOWS, Call, Change, Kept, Untold, index, ties

INTEGER = np.int64


@ties("Transpose")
def transpose(call: Call) -> None:
    """Axes change places."""
    sites, made = call.axes(call.x), call.axes(call.y)
    for other, axis in zip(made, call.attr("perm", range(len(sites))[::-1]), strict=True):
        call.sites.tie(sites[axis], other)


def _shape(call: Call, kept: Kept) -> Change:
    """The target of a Reshape or Expand, where it names a size that is another one now."""
    sizes = [kept.size(call.y, axis) for axis in range(call.rank(call.y))]
    wanted = [FOLLOWS if size is None else size for size in sizes]
    return Change(inputs={1: np.array(wanted, INTEGER)})


@ties("Reshape", "com.microsoft.Reshape", retune=_shape)
def reshape(call: Call) -> None:
    """Blocks of axes that hold the same elements before and after."""
    _blocks(call)


@ties("Flatten", "Squeeze", "Unsqueeze")
def flatten(call: Call) -> None:
    """As Reshape; the target needs no numbers."""
    _blocks(call)


def _blocks(call: Call) -> None:
    shapes = call.sites.shapes
    before, after = shapes.dims(call.x), shapes.dims(call.y)
    if before is None or after is None:
        raise Untold("a rank is not known")
    x, y = call.axes(call.x), call.axes(call.y)
    left, right = ([axis for axis, site in enumerate(sites) if site != ONE] for sites in (x, y))
    for old, new in matched([before[axis] for axis in left], [after[axis] for axis in right]):
        old_axes, new_axes = [left[k] for k in old], [right[k] for k in new]
        if len(old) == len(new) == 1:
            call.sites.tie(x[old_axes[0]], y[new_axes[0]])
            continue
        sides = ([before[axis] for axis in old_axes], [after[axis] for axis in new_axes])
        sizes = [[size for size in side if isinstance(size, int)] for side in sides]
        split = digits(sizes) if [len(side) for side in sizes] == [len(old), len(new)] else None
        sites = [[x[axis] for axis in old_axes], [y[axis] for axis in new_axes]]
        if split is None:
            for site in (*sites[0], *sites[1]):
                call.sites.pin(site, f"{call.node.op} mixes it with others")
            continue
        joined = [run for size, site in zip(sizes, sites, strict=True) for run in runs(size, site, split)]
        call.ties.blocks.append(Block(call.node, tuple(split), tuple(joined)))


@ties("Concat")
def concat(call: Call) -> None:
    """Along the axis the inputs follow each other."""
    along = call.axis(call.y)
    made = call.axes(call.y)
    offset = 0
    for tensor in call.inputs:
        for axis, site in enumerate(call.axes(tensor)):
            if axis != along:
                call.sites.tie(site, made[axis])
        offset += _part(call, tensor, call.y, along, offset)


def _part(call: Call, part: Tensor, whole: Tensor, axis: int, offset: int) -> int:
    """The part lies in the whole, from `offset` on. Returns its size."""
    site, other = call.axes(part)[axis], call.axes(whole)[axis]
    size = call.size(part, axis)
    if site >= 0:
        call.sites.tie_at(site, index(size), other, index(size) + offset)
    else:
        call.sites.pin(other, f"{call.node.op} has a single index there", index(1) + offset)
    return size


def _sizes(call: Call, kept: Kept) -> Change:
    axis = call.axis(call.x)
    sizes = [kept.size(made, axis) for made in call.outputs]
    if call.has(1):
        return Change(inputs={1: np.array(sizes, INTEGER)})
    if call.opset >= SPLIT_BY_INPUT:
        return Change({"num_outputs": None}, {1: np.array(sizes, INTEGER)})
    return Change({"split": sizes})


SPLIT_BY_INPUT = 13


@ties("Split", retune=_sizes)
def split(call: Call) -> None:
    """The outputs follow each other along the axis."""
    along = call.axis(call.x)
    offset = 0
    for made in call.outputs:
        if not made.name:
            raise Untold("a part of it is not used")
        for axis, (site, other) in enumerate(zip(call.axes(call.x), call.axes(made), strict=True)):
            if axis != along:
                call.sites.tie(site, other)
        offset += _part(call, made, call.x, along, offset)
