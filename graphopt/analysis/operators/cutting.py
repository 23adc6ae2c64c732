"""Types of operators that join tensors, cut them and pad them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from graphopt.analysis.call import Call, types
from graphopt.analysis.operators.elementwise import common
from graphopt.analysis.operators.layout import normalized
from graphopt.analysis.order import Facts, bounds, maximum, minimum
from graphopt.analysis.symbolic import Scalar, ceil, divide
from graphopt.analysis.types import Dims, Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@types("Concat")
def concat(call: Call) -> Type:
    """All other dimensions are equal."""
    dtype = common(call.dtype(i) for i in range(len(call.types)))
    return Type(dtype, concatenated([call.dims(i) for i in range(len(call.types))], call.attr("axis", 1)))


def concatenated(parts: Sequence[Dims | None], axis: int) -> Dims | None:
    """The shape of parts joined along `axis`."""
    known = [dims for dims in parts if dims is not None]
    if not known:
        return None
    axis = normalized([axis], len(known[0]))[0]
    result = [common_dim(column) for column in zip(*known, strict=True)]
    result[axis] = total(dims[axis] for dims in known) if len(known) == len(parts) else None
    return tuple(result)


def total(parts: Iterable[Scalar | None]) -> Scalar | None:
    """The sum, if every part is known."""
    result: Scalar = 0
    for part in parts:
        if part is None:
            return None
        result = result + part
    return result


def common_dim(dims: Iterable[Scalar | None]) -> Scalar | None:
    """One of several dimensions that must be equal: a number if there is one, else the first known."""
    known = [dim for dim in dims if dim is not None]
    return next((dim for dim in known if isinstance(dim, int)), known[0] if known else None)


@types("Split", reads=(1,))
def split(call: Call) -> list[Type]:
    """Sizes are an attribute before opset 13; without sizes the parts are equal, the last one smaller."""
    dims, dtype = call.dims(0), call.dtype(0)
    if dims is None:
        return [Type(dtype)] * call.outputs
    axis = normalized([call.attr("axis", 0)], len(dims))[0]
    sizes = split_sizes(call, dims[axis])
    return [Type(dtype, (*dims[:axis], s, *dims[axis + 1 :])) for s in sizes]


def split_sizes(call: Call, whole: Scalar | None) -> Sequence[Scalar | None]:
    """The sizes of the parts into which Split cuts a dimension of size `whole`."""
    listed = call.attr("split") if not call.since(13) or "split" in call.attrs else call.elements(1)
    if listed is not None:
        return list(map(call.size, listed))
    parts = call.attr("num_outputs", call.outputs)
    if whole is None or call.has(1):
        return [None] * call.outputs
    if isinstance(whole, int):
        each = -(-whole // parts)
        return [max(0, min(each, whole - each * i)) for i in range(parts)]
    exact = divide(whole, parts)
    uneven = call.since(18)
    return [exact if not uneven or parts == 1 else None] * call.outputs


@types("Slice", reads=(1, 2, 3, 4))
def slice_(call: Call) -> Type:
    """Starts, ends, axes and steps are attributes before opset 10."""
    dims = call.dims(0)
    if dims is None:
        return Type(call.dtype(0))
    result = list(dims)
    bounds_ = slice_bounds(call, len(dims))
    if bounds_ is None:
        return Type(call.dtype(0), _sliced_blind(call, dims))
    for axis, start, end, step in bounds_:
        result[axis] = slice_length(call.facts, dims[axis], start, end, step)
    return Type(call.dtype(0), result)


def _sliced_blind(call: Call, dims: Dims) -> Dims:
    """With unknown starts or ends, the dimensions that are not cut are still known if axes are."""
    axes = call.ints(3)
    if axes is None:
        return (None,) * len(dims)
    cut = set(normalized(axes, len(dims)))
    return tuple(None if i in cut else d for i, d in enumerate(dims))


def slice_bounds(call: Call, rank: int) -> list[tuple[int, Scalar | None, Scalar | None, int]] | None:
    """(axis, start, end, step) of a Slice; None if the axes or steps are not known."""
    if not call.since(10):
        starts, ends = call.attr("starts"), call.attr("ends")
        axes: list[int] | None = call.attr("axes", list(range(len(starts))))
        steps: list[int] | None = [1] * len(starts)
    else:
        starts, ends = call.elements(1), call.elements(2)
        count = len(starts or ends or ())
        starts, ends = starts or (None,) * count, ends or (None,) * count
        axes = call.ints(3) if call.has(3) else list(range(count))
        steps = call.ints(4) if call.has(4) else [1] * count
    if not starts or axes is None or steps is None:
        return None
    ends = [_end(end, step) for end, step in zip(ends, steps, strict=True)]
    return list(zip(normalized(axes, rank), starts, ends, steps, strict=True))


def _end(end: Scalar | None, step: int) -> Scalar | None:
    """Backwards to the largest integer: to the first element for ONNX Runtime, to none at all for the specification."""
    return None if step < 0 and end is not None and _far(end) else end


FAR = 2**31 - 1


def slice_length(
    facts: Facts, dim: Scalar | None, start: Scalar | None, end: Scalar | None, step: int
) -> Scalar | None:
    """How many elements start:end:step takes of a dimension."""
    if dim is None:
        return 0 if start is not None and start == end else None
    if start is None or end is None or step == 0:
        return None
    if isinstance(dim, int) and isinstance(start, int) and isinstance(end, int):
        return len(taken(dim, start, end, step))
    if step < 0:
        return dim if (step, start) == (-1, -1) and isinstance(end, int) and end <= -FAR else None
    first = start if facts.at_least(start, 0) and not _far(start) else _position(facts, dim, start)
    last = _position(facts, dim, end)
    if first is None or last is None:
        return None
    return maximum(0, ceil((last - first) * Fraction(1, step)))


def taken(dim: int, start: int, end: int, step: int) -> range:
    """The places that start:end:step takes of a dimension: as in Python, but backwards from before the first element
    is from the first element."""
    if dim == 0:
        return range(0)
    first, last = (0, dim) if step > 0 else (-1, dim - 1)
    start, end = (place + dim if place < 0 else place for place in (start, end))
    return range(min(max(start, 0), last), min(max(end, first), last), step)


def _far(position: Scalar) -> bool:
    return isinstance(position, int) and position >= FAR


def _position(facts: Facts, dim: Scalar, position: Scalar) -> Scalar | None:
    """Where a start or end of a Slice lies in a dimension, counted from the front and clamped."""
    if position == dim or _far(position):
        return dim
    if facts.at_least(position, 0):
        return minimum(dim, position)
    _, high = bounds(position)
    return maximum(0, dim + position) if high is not None and high < 0 else None


@types("Pad", reads=(1, 3))
def pad(call: Call) -> Type:
    """Pads are an attribute before opset 11."""
    dims = call.dims(0)
    if dims is None:
        return Type(call.dtype(0))
    given = call.attr("pads", call.attr("paddings")) if not call.since(11) else call.elements(1)
    axes: list[int] | None = call.ints(3) if call.has(3) else list(range(len(dims)))
    if axes is None:
        return Type(call.dtype(0), (None,) * len(dims))
    result = list(dims)
    for place, axis in enumerate(normalized(axes, len(dims))):
        ends = (None, None) if given is None else (given[place], given[place + len(axes)])
        result[axis] = total((dims[axis], *ends))
    return Type(call.dtype(0), result)
