"""Operators that give the same elements other axes, and those that take sizes from a vector of integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from passes.prune.digits import Block, digits, matched, runs
from passes.prune.sites import ONE
from passes.prune.ties.call import FOLLOWS, INTEGER, Call, Change, Kept, ties
from passes.prune.ties.role import Untold

if TYPE_CHECKING:
    from graphopt.analysis.symbolic import Scalar

TARGETS = {"Reshape": 1, "Expand": 1, "ConstantOfShape": 0, "Resize": 3}
"""Which input says how large the output is."""


def _target(call: Call, kept: Kept) -> Change:
    """The sizes of the output, where they are known."""
    sizes = [kept.size(call.y, axis) for axis in range(call.rank(call.y))]
    wanted = np.array([FOLLOWS if size is None else size for size in sizes], INTEGER)
    return Change(inputs={TARGETS[call.node.op]: wanted})


@ties("Reshape", retune=_target)
def reshape(call: Call) -> None:
    """Blocks of axes that hold the same elements before and after."""
    _blocks(call)


@ties("Flatten", "Squeeze", "Unsqueeze")
def flatten(call: Call) -> None:
    """As Reshape, without numbers for sizes."""
    _blocks(call)


def _blocks(call: Call) -> None:
    shapes = call.sites.shapes
    before, after = shapes.dims(call.x), shapes.dims(call.y)
    if before is None or after is None:
        raise Untold("a rank is not known")
    (old, old_sites), (new, new_sites) = _wide(before, call.axes(call.x)), _wide(after, call.axes(call.y))
    for left, right in matched(old, new):
        sites = [old_sites[k] for k in left], [new_sites[k] for k in right]
        if len(left) == len(right) == 1:
            call.sites.tie(sites[0][0], sites[1][0])
        else:
            _block(call, [old[k] for k in left], [new[k] for k in right], sites)


def _wide(dims: Sequence[Scalar | None], sites: Sequence[int]) -> tuple[list[Scalar | None], list[int]]:
    """The dimensions that are not one, and their sites."""
    kept = [axis for axis, site in enumerate(sites) if site != ONE]
    return [dims[axis] for axis in kept], [sites[axis] for axis in kept]


def _block(
    call: Call, left: list[Scalar | None], right: list[Scalar | None], sites: tuple[list[int], list[int]]
) -> None:
    sizes = [[dim for dim in side if isinstance(dim, int)] for side in (left, right)]
    known = (len(sizes[0]), len(sizes[1])) == (len(left), len(right))
    split = digits(sizes) if known else None
    if split is None:
        for site in (*sites[0], *sites[1]):
            call.sites.pin(site, f"{call.node.op} mixes it with other axes")
        return
    joined = [run for size, site in zip(sizes, sites, strict=True) for run in runs(size, site, split)]
    call.ties.blocks.append(Block(call.node, tuple(split), tuple(joined)))


@ties("Expand", retune=_target)
def expand(call: Call) -> None:
    """As with broadcasting; what is made of a single index is as wide as what it meets."""
    x, y = call.axes(call.x), call.axes(call.y)
    if call.size(call.inputs[1], 0) != len(y):
        raise Untold("its target has fewer axes than its output")
    for back in range(1, len(y) + 1):
        if back <= len(x) and x[-back] != ONE:
            call.sites.tie(x[-back], y[-back])
        else:
            call.sites.avoid(y[-back])


@ties("ConstantOfShape", retune=_target)
def constant_of_shape(call: Call) -> None:
    """As wide as what it meets: all elements are the same."""
    call.axes(call.y)


def _resized(call: Call, kept: Kept) -> Change:
    return _target(call, kept) if call.has(TARGETS["Resize"]) and not call.attr("axes") else Change()


@ties("Resize", "Upsample", retune=_resized)
def resize(call: Call) -> None:
    """Axes that keep their size are left alone."""
    before, after = call.sites.shapes.dims(call.x), call.sites.shapes.dims(call.y)
    if before is None or after is None:
        raise Untold("a rank is not known")
    crops = call.attr("coordinate_transformation_mode") in ("tf_crop_and_resize", b"tf_crop_and_resize")
    for axis, (old, new) in enumerate(zip(before, after, strict=True)):
        if old is not None and old == new and not crops:
            call.same(call.x, axis, call.y, axis)
        else:
            call.pin(call.x, axis, f"{call.node.op} interpolates along it")
            call.pin(call.y, axis, f"{call.node.op} interpolates along it")


def _as_before(call: Call, _kept: Kept) -> Change:
    """Who reads sizes goes on with those before the cut, by which everything else was laid out."""
    dims = call.sites.shapes.dims(call.x) or ()
    sizes = [dim if isinstance(dim, int) else FOLLOWS for dim in dims][call.attr("start", 0) : call.attr("end", None)]
    return Change(value=np.array(sizes, INTEGER))


@ties("Shape", retune=_as_before)
def shape(call: Call) -> None:
    """Sizes bind nothing together."""
    call.axes(call.x)
