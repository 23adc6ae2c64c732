"""Operators along one axis or a few: reductions, Softmax, ArgMax, TopK, running sums."""

from __future__ import annotations

import numpy as np

from passes.layout.axes import Axes, Call, Change, Turned, operators
from passes.layout.orders import Letters, identity

SUMMED = 32
"""Rounding errors that another order of the same sum may make."""
SOFTMAX_SINCE = 13
"""Before this opset Softmax works on all axes from `axis` on."""
AXES_AS_INPUT = {"ReduceSum": 13}
AXES_AS_INPUT_SINCE = 18
EXACT = ("ReduceMax", "ReduceMin")
SUMS = (
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMean",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
)


@operators(*EXACT, *SUMS)
def reduction(call: Call) -> Axes | None:
    """The axes that are summed up are named by number."""
    rank, op = call.rank(call.node.inputs[0]), call.node.op
    if rank is None:
        return None
    as_input = call.opset >= AXES_AS_INPUT.get(op, AXES_AS_INPUT_SINCE)
    axes = call.numbers(1) if as_input else call.attr("axes")
    given = call.has(1) if as_input else axes is not None
    if given and not axes:
        return None  # not known, or empty: nothing or everything is reduced, as an attribute says
    if not given and call.attr("noop_with_empty_axes", 0):
        return None
    reduced = {int(axis) % rank for axis in axes} if axes else set(range(rank))
    keeps = bool(call.attr("keepdims", 1))
    result = tuple(axis for axis in range(rank) if keeps or axis not in reduced)

    def retune(turned: Turned) -> Change | None:
        if not given:
            return Change()
        new = sorted(turned.first().index(axis) for axis in reduced)
        return Change(inputs={1: np.array(new, np.int64)}) if as_input else Change({"axes": new})

    inputs: tuple[Letters | None, ...] = (identity(rank), *(None,) * (len(call.node.inputs) - 1))
    return Axes(inputs, (result,), identity(rank), retune, 0 if op in EXACT else SUMMED)


@operators("Softmax", "LogSoftmax", "Hardmax")
def softmax(call: Call) -> Axes | None:
    """Along an axis; the runtime moves the elements itself where that is not the last one."""
    rank = call.rank(call.node.inputs[0])
    if rank is None or rank == 0:
        return None
    old = call.opset < SOFTMAX_SINCE
    axis = int(call.attr("axis", 1 if old else -1)) % rank
    if old and axis != rank - 1:
        return None

    def retune(turned: Turned) -> Change | None:
        new = turned.first().index(axis)
        return Change({"axis": new}) if not old or new == rank - 1 else None

    def slow(turned: Turned) -> bool:
        return turned.first()[-1] != axis

    return Axes((identity(rank),), (identity(rank),), identity(rank), retune, SUMMED, slow)


@operators("ArgMax", "ArgMin", "LpNormalization")
def along_axis(call: Call) -> Axes | None:
    """Along an axis that an attribute names."""
    rank = call.rank(call.node.inputs[0])
    if not rank:
        return None
    search = call.node.op != "LpNormalization"
    axis = int(call.attr("axis", 0 if search else -1)) % rank
    gone = search and not call.attr("keepdims", 1)
    result = tuple(one for one in range(rank) if not (gone and one == axis))

    def retune(turned: Turned) -> Change:
        return Change({"axis": turned.first().index(axis)})

    return Axes((identity(rank),), (result,), identity(rank), retune, 0 if search else SUMMED)


@operators("TopK")
def top(call: Call) -> Axes | None:
    """The largest along an axis, with their places."""
    rank = call.rank(call.node.inputs[0])
    if not rank:
        return None
    axis = int(call.attr("axis", -1)) % rank

    def retune(turned: Turned) -> Change:
        return Change({"axis": turned.first().index(axis)})

    others = (None,) * (len(call.node.inputs) - 1)
    return Axes((identity(rank), *others), (identity(rank),) * len(call.node.outputs), identity(rank), retune)


@operators("CumSum", "CumProd")
def running(call: Call) -> Axes | None:
    """Sums along an axis that an input names."""
    rank, axis = call.rank(call.node.inputs[0]), call.values(1)
    if not rank or axis is None or axis.size != 1:
        return None
    along = int(axis.reshape(())) % rank

    def retune(turned: Turned) -> Change:
        return Change(inputs={1: np.full(axis.shape, turned.first().index(along), axis.dtype)})

    return Axes((identity(rank), None), (identity(rank),), identity(rank), retune, SUMMED)
