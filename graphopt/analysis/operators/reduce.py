"""Types of reductions and selections along axes."""

from __future__ import annotations

import numpy as np

from graphopt.analysis.call import Call, types
from graphopt.analysis.operators.layout import axes_of, normalized
from graphopt.analysis.order import minimum
from graphopt.analysis.types import Dims, Type

INT64 = np.dtype(np.int64)

REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "ReduceSumSquare",
)  # fmt: skip


def reduced_axes(call: Call, rank: int) -> list[int] | None:
    """The axes that a reduction removes; None if they are not known."""
    since = 13 if call.op == "ReduceSum" else 18
    axes = axes_of(call, 1, since)
    given = call.has(1) if call.since(since) else axes is not None
    if given and axes is None:
        return None
    if not axes:
        return [] if call.attr("noop_with_empty_axes", 0) else list(range(rank))
    return normalized(axes, rank)


def _reduced(dims: Dims, axes: list[int], *, keep: bool) -> Dims:
    if keep:
        return tuple(1 if i in axes else d for i, d in enumerate(dims))
    return tuple(d for i, d in enumerate(dims) if i not in axes)


@types(*REDUCTIONS, reads=(1,))
def reduction(call: Call) -> Type:
    """Axes are an attribute before opset 18 (13 for ReduceSum)."""
    dims, keep = call.dims(0), bool(call.attr("keepdims", 1))
    if dims is None:
        return Type(call.dtype(0))
    axes = reduced_axes(call, len(dims))
    if axes is None:
        return Type(call.dtype(0), (None,) * len(dims) if keep else None)
    return Type(call.dtype(0), _reduced(dims, axes, keep=keep))


@types("ArgMax", "ArgMin")
def arg(call: Call) -> Type:
    """Indices are int64."""
    dims = call.dims(0)
    if dims is None:
        return Type(INT64)
    axis = normalized([call.attr("axis", 0)], len(dims))
    return Type(INT64, _reduced(dims, axis, keep=bool(call.attr("keepdims", 1))))


@types("TopK", reads=(1,))
def top_k(call: Call) -> tuple[Type, Type]:
    """K is an attribute before opset 10."""
    dims = call.dims(0)
    if dims is None:
        return Type(call.dtype(0)), Type(INT64)
    k = call.attr("k") if not call.since(10) else call.scalar(1)
    axis = normalized([call.attr("axis", -1)], len(dims))[0]
    whole = dims[axis]
    kept = k if k is None or whole is None else minimum(k, whole)
    kept = k if isinstance(k, int) else kept
    out = (*dims[:axis], kept, *dims[axis + 1 :])
    return Type(call.dtype(0), out), Type(INT64, out)
