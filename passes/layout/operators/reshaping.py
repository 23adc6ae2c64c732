"""Operators that split, merge, add and remove axes: Reshape, Flatten, Squeeze, Unsqueeze."""

from __future__ import annotations

import numpy as np

from graphopt.analysis.operators.layout import product
from graphopt.analysis.types import Dims, all_known
from passes.fold.shapes import reshape_target
from passes.layout.axes import Axes, Call, Change, Turned, operators
from passes.layout.orders import Letters, identity, ordered

AXES_AS_INPUT = 13
RESHAPE_SINCE = 5


@operators("Squeeze", "Unsqueeze")
def squeeze(call: Call) -> Axes | None:
    """The axes of length 1 are named by number; where none is, Squeeze takes away all."""
    adds = call.node.op == "Unsqueeze"
    long = call.node.outputs[0] if adds else call.node.inputs[0]
    rank = call.rank(long)
    as_input = call.opset >= AXES_AS_INPUT
    axes = call.numbers(1) if as_input else call.attr("axes")
    if rank is None or not axes:
        return None
    units = [int(axis) % rank for axis in axes]
    short = tuple(axis for axis in range(rank) if axis not in units)

    def retune(turned: Turned) -> Change:
        new = [(turned.result() if adds else turned.first()).index(axis) for axis in units]
        return Change(inputs={1: np.array(new, np.int64)}) if as_input else Change({"axes": new})

    source, result = (short, identity(rank)) if adds else (identity(rank), short)
    inputs = (source, *(None,) * (len(call.node.inputs) - 1))
    return Axes(inputs, (result,), identity(rank), retune)


@operators("Reshape")
def reshape(call: Call) -> Axes | None:
    """Axes that are split or merged move as one; axes of length 1 come and go anywhere."""
    before, after = (call.shapes.dims(tensor) for tensor in (call.node.inputs[0], call.node.outputs[0]))
    paired = None if before is None or after is None or call.opset < RESHAPE_SINCE else runs(before, after)
    if before is None or after is None or paired is None:
        return None
    source, result, universe = paired

    def retune(turned: Turned) -> Change | None:
        old = tuple(before[axis] for axis in ordered(source, turned.first()))
        new = tuple(after[axis] for axis in ordered(result, turned.result()))
        target = reshape_target(old, new, ())
        return None if target is None else Change({"allowzero": None}, {1: np.array(target, np.int64)})

    return Axes((source, None), (result,), universe, retune)


@operators("Flatten")
def flatten(call: Call) -> Axes | None:
    """The axes before `axis` become one, and those from there on; of length 1 they may lie anywhere."""
    dims = all_known(call.shapes.dims(call.node.inputs[0]))
    if not dims:
        return None
    axis = int(call.attr("axis", 1))
    at = axis if axis >= 0 else axis + len(dims)
    paired = runs(dims, (product(dims[:at]), product(dims[at:])))
    if paired is None:
        return None
    source, result, universe = paired
    if len(set(result)) != len(result):
        return None

    def retune(turned: Turned) -> Change | None:
        kept = [letter for letter in turned.first() if letter in result]
        if kept != list(turned.result()) or not kept:
            return None
        before = [letter for letter in turned.first() if letter != kept[-1]]
        starts = turned.first().index(kept[-1]) if len(kept) > 1 else None
        if starts is None or len(before) < starts:
            return None
        places = ordered(source, turned.first()[:starts])
        return Change({"axis": len(places)})

    return Axes((source,), (result,), universe, retune)


def runs(before: Dims, after: Dims) -> tuple[Letters, Letters, Letters] | None:
    """Names for the axes on both sides of a reshape: the shortest runs of axes with as many elements share one.

    Axes of length 1 get names of their own. None where a length is unknown or the runs do not meet.
    """
    source: list[int] = []
    result: list[int] = []
    i = j = letter = 0
    while i < len(before) or j < len(after):
        if j < len(after) and after[j] == 1 and not (i < len(before) and before[i] == 1):
            result.append(letter)
            j += 1
        elif i < len(before) and before[i] == 1 and not (j < len(after) and after[j] == 1):
            source.append(letter)
            i += 1
        else:
            lengths = _run(before[i:], after[j:])
            if lengths is None:
                return None
            source += [letter] * lengths[0]
            result += [letter] * lengths[1]
            i, j = i + lengths[0], j + lengths[1]
        letter += 1
    return tuple(source), tuple(result), identity(letter)


def _run(before: Dims, after: Dims) -> tuple[int, int] | None:
    """How many axes of each make the first runs with equally many elements."""
    old, new = all_known(before), all_known(after)
    if old is None or new is None or 0 in old or 0 in new:
        return None
    for total in range(2, len(old) + len(new) + 1):
        for a in range(max(1, total - len(new)), min(len(old), total - 1) + 1):
            if product(old[:a]) == product(new[: total - a]):
                return a, total - a
    return None
