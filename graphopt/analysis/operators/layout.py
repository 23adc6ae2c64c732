"""Types of operators that move elements and compute none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphopt.analysis.call import Call, types
from graphopt.analysis.operators.elementwise import broadcast, common
from graphopt.analysis.order import Facts, bounds, maximum, minimum
from graphopt.analysis.symbolic import Expression, Scalar, ceil, divide, symbol, symbols
from graphopt.analysis.types import Dims, Type
from graphopt.ir import dtypes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INT64 = np.dtype(np.int64)


def product(dims: Iterable[Scalar]) -> Scalar:
    """The number of elements of a shape."""
    result: Scalar = 1
    for dim in dims:
        result = dim * result
    return result


def axes_of(call: Call, index: int, since: int) -> list[int] | None:
    """Axes as an attribute before opset `since`, as input `index` from then on; None: not given or not known."""
    if call.version < since:
        axes = call.attr("axes")
        return None if axes is None else [int(axis) for axis in axes]
    return call.ints(index)


def normalized(axes: Iterable[int], rank: int) -> list[int]:
    """Axes counted from the front. Raises IndexError for one outside the rank."""
    result = []
    for axis in axes:
        if not -rank <= axis < rank:
            raise IndexError(f"axis {axis} of {rank}")
        result.append(axis % rank)
    return result


@types("Shape")
def shape(call: Call) -> Type:
    """As many elements as the input has dimensions between `start` and `end`."""
    rank = call.rank(0)
    if rank is None:
        return Type(INT64, (None,))
    return Type(INT64, (len(range(rank)[call.attr("start", 0) : call.attr("end", rank)]),))


@types("Size")
def size(call: Call) -> Type:  # noqa: ARG001
    return Type(INT64, ())


# --- reshape --------------------------------------------------------------------------------------------------


@types("Reshape", reads=(1,))
def reshape(call: Call) -> Type:
    """0 copies a dimension (unless `allowzero`), -1 takes what is left."""
    dims, dtype = call.dims(0), call.dtype(0)
    target: Sequence[Scalar | None] | None = call.attr("shape") if call.version < 5 else call.elements(1)
    if target is None:
        length = (call.dims(1) or (None,))[0]
        return Type(dtype, (None,) * length if isinstance(length, int) else None)
    return Type(dtype, _reshaped(call, dims, target))


def _reshaped(call: Call, dims: Dims | None, target: Sequence[Scalar | None]) -> Dims:
    """The shape that `target` asks of a tensor of shape `dims`."""
    allow_zero = bool(call.attr("allowzero", 0))
    marks = None if dims is None else tuple(_mark(i) if d is None else d for i, d in enumerate(dims))
    result: list[Scalar | None] = []
    for i, want in enumerate(target):
        if want == 0 and not allow_zero:
            result.append(marks[i] if marks is not None else None)
        else:
            result.append(call.size(want))
    open_at = [i for i, dim in enumerate(result) if dim is None]
    if marks is not None and len(open_at) == 1:
        result[open_at[0]] = _rest(marks, result, inferred=target[open_at[0]] == -1)
    return tuple(None if d is not None and _marked(d) else d for d in result)


def _rest(dims: Sequence[Scalar], result: Sequence[Scalar | None], *, inferred: bool) -> Scalar | None:
    """The one missing dimension. It is certain if the others are not 0, as `-1` (`inferred`) requires of a run."""
    others = product(d for d in result if d is not None)
    low, _ = bounds(others)
    if not inferred and (low is None or low < 1):
        return None
    return divide(product(dims), others)


def _mark(index: int) -> Scalar:
    return symbol(f"?{index}")


def _marked(dim: Scalar) -> bool:
    return isinstance(dim, Expression) and any(name.startswith("?") for name in symbols(dim))


@types("Flatten")
def flatten(call: Call) -> Type:
    """Two dimensions: the product before `axis`, and the product from it on."""
    dims = call.dims(0)
    if dims is None:
        return Type(call.dtype(0), (None, None))
    axis = call.attr("axis", 1)
    axis += len(dims) if axis < 0 else 0
    return Type(call.dtype(0), (_product(dims[:axis]), _product(dims[axis:])))


def _product(dims: Dims) -> Scalar | None:
    if 0 in dims:
        return 0
    return None if None in dims else product(d for d in dims if d is not None)


@types("Squeeze", reads=(1,))
def squeeze(call: Call) -> Type | None:
    """Without axes, all dimensions of 1 go, so all must be known."""
    dims = call.dims(0)
    axes = axes_of(call, 1, 13)
    given = call.has(1) if call.version >= 13 else axes is not None
    if dims is None or (given and axes is None):
        return Type(call.dtype(0))
    if axes is None:
        if not all(isinstance(d, int) for d in dims):
            return Type(call.dtype(0))
        return Type(call.dtype(0), tuple(d for d in dims if d != 1))
    gone = set(normalized(axes, len(dims)))
    return Type(call.dtype(0), (d for i, d in enumerate(dims) if i not in gone))


@types("Unsqueeze", reads=(1,))
def unsqueeze(call: Call) -> Type:
    """Axes count in the result."""
    dims, axes = call.dims(0), axes_of(call, 1, 13)
    if dims is None:
        return Type(call.dtype(0))
    if axes is None:
        count = (call.dims(1) or (None,))[0]
        return Type(call.dtype(0), (None,) * (len(dims) + count) if isinstance(count, int) else None)
    rank = len(dims) + len(axes)
    new = set(normalized(axes, rank))
    old = iter(dims)
    return Type(call.dtype(0), [1 if i in new else next(old) for i in range(rank)])


@types("Transpose")
def transpose(call: Call) -> Type:
    dims = call.dims(0)
    perm = call.attr("perm")
    if dims is None:
        return Type(call.dtype(0), None if perm is None else (None,) * len(perm))
    return Type(call.dtype(0), dims[::-1] if perm is None else [dims[i] for i in perm])


@types("Expand", reads=(1,))
def expand(call: Call) -> Type:
    """Broadcast to a shape that is an input."""
    dims, target = call.dims(0), call.elements(1)
    if target is None:
        length = (call.dims(1) or (None,))[0]
        target = (None,) * length if isinstance(length, int) else None
    sizes = None if target is None else tuple(map(call.size, target))
    return Type(call.dtype(0), broadcast(dims, sizes))


@types("Tile", reads=(1,))
def tile(call: Call) -> Type:
    dims, repeats = call.dims(0), call.elements(1)
    if dims is None or call.version < 6:
        return Type(call.dtype(0))
    if repeats is None:
        return Type(call.dtype(0), (None,) * len(dims))
    pairs = zip(dims, repeats, strict=True)
    return Type(call.dtype(0), (None if d is None or r is None else d * r for d, r in pairs))


# --- joining and cutting --------------------------------------------------------------------------------------


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
    listed = call.attr("split") if call.version < 13 or "split" in call.attrs else call.elements(1)
    if listed is not None:
        return list(map(call.size, listed))
    parts = call.attr("num_outputs", call.outputs)
    if whole is None or call.has(1):
        return [None] * call.outputs
    if isinstance(whole, int):
        each = -(-whole // parts)
        return [max(0, min(each, whole - each * i)) for i in range(parts)]
    exact = divide(whole, parts)
    uneven = call.version >= 18
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
    if call.version < 10:
        starts, ends = call.attr("starts"), call.attr("ends")
        axes, steps = call.attr("axes", list(range(len(starts)))), [1] * len(starts)
    else:
        starts, ends = call.elements(1), call.elements(2)
        count = len(starts or ends or ())
        starts, ends = starts or (None,) * count, ends or (None,) * count
        axes = call.ints(3) if call.has(3) else list(range(count))
        steps = call.ints(4) if call.has(4) else [1] * count
    if not starts or axes is None or steps is None:
        return None
    return list(zip(normalized(axes, rank), starts, ends, steps, strict=True))


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
        return len(range(dim)[start:end:step])
    if step != 1:
        return _symbolic_stride(facts, dim, start, end, step)
    first, last = slice_end(facts, dim, start), slice_end(facts, dim, end)
    return None if first is None or last is None else maximum(0, last - first)


def _symbolic_stride(facts: Facts, dim: Scalar, start: Scalar, end: Scalar, step: int) -> Scalar | None:
    if step == -1 and start == -1 and isinstance(end, int) and end <= -FAR:
        return dim
    if step < 0:
        return None
    first, last = slice_end(facts, dim, start), slice_end(facts, dim, end)
    if first is None or last is None:
        return None
    steps = divide(last - first, step)
    return None if steps is None else maximum(0, ceil(steps))


def slice_end(facts: Facts, dim: Scalar, position: Scalar) -> Scalar | None:
    """Where a start or end of a Slice lies in a dimension, counted from the front and clamped."""
    if position == dim or (isinstance(position, int) and position >= FAR):
        return dim
    if facts.at_least(position, 0):
        return minimum(dim, position)
    _, high = bounds(position)
    if high is not None and high < 0:
        return maximum(0, dim + position)
    return None


@types("Pad", reads=(1, 3))
def pad(call: Call) -> Type:
    """Pads are an attribute before opset 11."""
    dims = call.dims(0)
    if dims is None:
        return Type(call.dtype(0))
    given = call.attr("pads", call.attr("paddings")) if call.version < 11 else call.elements(1)
    axes: list[int] | None = call.ints(3) if call.has(3) else list(range(len(dims)))
    if axes is None:
        return Type(call.dtype(0), (None,) * len(dims))
    result = list(dims)
    for place, axis in enumerate(normalized(axes, len(dims))):
        ends = (None, None) if given is None else (given[place], given[place + len(axes)])
        result[axis] = total((dims[axis], *ends))
    return Type(call.dtype(0), result)


# --- picking --------------------------------------------------------------------------------------------------


@types("Gather")
def gather(call: Call) -> Type:
    """The axis is replaced by the shape of the indices."""
    dims, indices = call.dims(0), call.dims(1)
    if dims is None or indices is None:
        return Type(call.dtype(0))
    axis = normalized([call.attr("axis", 0)], len(dims))[0]
    return Type(call.dtype(0), dims[:axis] + indices + dims[axis + 1 :])


@types("GatherElements")
def gather_elements(call: Call) -> Type:
    """The output has the shape of the indices."""
    return Type(call.dtype(0), call.dims(1))


@types("GatherND")
def gather_nd(call: Call) -> Type:
    """The last dimension of the indices says how many dimensions they consume."""
    dims, indices = call.dims(0), call.dims(1)
    if dims is None or indices is None or not isinstance(indices[-1], int):
        return Type(call.dtype(0))
    batch = call.attr("batch_dims", 0)
    return Type(call.dtype(0), indices[:-1] + dims[batch + indices[-1] :])


@types("Compress")
def compress(call: Call) -> Type:
    """How many are kept depends on values."""
    dims, axis = call.dims(0), call.attr("axis")
    if axis is None:
        return Type(call.dtype(0), (None,))
    if dims is None:
        return Type(call.dtype(0))
    axis = normalized([axis], len(dims))[0]
    return Type(call.dtype(0), (*dims[:axis], None, *dims[axis + 1 :]))


@types("NonZero")
def non_zero(call: Call) -> Type:
    """One row for each dimension; a scalar counts as one dimension."""
    return Type(INT64, (call.rank(0) or None, None))


@types("OneHot", reads=(1,))
def one_hot(call: Call) -> Type:
    """A new axis of `depth` elements."""
    dims = call.dims(0)
    if dims is None:
        return Type(call.dtype(2))
    axis = normalized([call.attr("axis", -1)], len(dims) + 1)[0]
    depth = call.scalar(1)
    return Type(call.dtype(2), (*dims[:axis], depth if isinstance(depth, int) else None, *dims[axis:]))


# --- making ---------------------------------------------------------------------------------------------------


@types("ConstantOfShape", reads=(0,))
def constant_of_shape(call: Call) -> Type:
    """The attribute gives the element type; float without one."""
    fill = call.attr("value")
    dtype = np.dtype(np.float32) if fill is None else fill.dtype
    return Type(dtype, filled(call, 0))


def filled(call: Call, index: int) -> Dims | None:
    """The shape that input `index` spells."""
    target = call.elements(index)
    if target is None:
        length = (call.dims(index) or (None,))[0]
        return (None,) * length if isinstance(length, int) else None
    return tuple(map(call.size, target))


@types("Range", reads=(0, 1, 2))
def range_(call: Call) -> Type:
    """max(0, ceil((limit - start) / delta)) elements."""
    start, limit, delta = (call.scalar(i) for i in range(3))
    length: Scalar | None = None
    if start is not None and limit is not None and delta is not None:
        steps = divide(limit - start, delta)
        length = None if steps is None else maximum(0, ceil(steps))
    return Type(common(call.dtype(i) for i in range(3)), (length,))


@types("EyeLike")
def eye_like(call: Call) -> Type:
    code = call.attr("dtype")
    return Type(call.dtype(0) if code is None else dtypes.numpy_dtype(code), call.dims(0))


@types("DepthToSpace")
def depth_to_space(call: Call) -> Type:
    block = call.attr("blocksize")
    batch, channels, height, width = call.dims(0) or (None,) * 4
    out = (batch, _divided(channels, block * block), _times(height, block), _times(width, block))
    return Type(call.dtype(0), out)


@types("SpaceToDepth")
def space_to_depth(call: Call) -> Type:
    block = call.attr("blocksize")
    batch, channels, height, width = call.dims(0) or (None,) * 4
    out = (batch, _times(channels, block * block), _divided(height, block), _divided(width, block))
    return Type(call.dtype(0), out)


def _times(dim: Scalar | None, factor: int) -> Scalar | None:
    return None if dim is None else dim * factor


def _divided(dim: Scalar | None, factor: int) -> Scalar | None:
    return None if dim is None else divide(dim, factor)
