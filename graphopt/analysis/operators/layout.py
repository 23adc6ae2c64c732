"""Types of operators that move elements and compute none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphopt.analysis.call import Call, types
from graphopt.analysis.operators.elementwise import broadcast, common
from graphopt.analysis.order import bounds, maximum
from graphopt.analysis.symbolic import Expression, Scalar, ceil, divide, symbol, symbols
from graphopt.analysis.types import Dims, Type, all_known
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
    if not call.since(since):
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
def size(_call: Call) -> Type:
    """One number."""
    return Type(INT64, ())


# --- reshape --------------------------------------------------------------------------------------------------


@types("Reshape", reads=(1,))
def reshape(call: Call) -> Type:
    """0 copies a dimension (unless `allowzero`), -1 takes what is left."""
    dims, dtype = call.dims(0), call.dtype(0)
    target: Sequence[Scalar | None] | None = call.attr("shape") if not call.since(5) else call.elements(1)
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
    known = all_known(dims)
    return None if known is None else product(known)


@types("Squeeze", reads=(1,))
def squeeze(call: Call) -> Type | None:
    """Without axes, as with an empty list of them, all dimensions of 1 go, so all must be known."""
    dims = call.dims(0)
    axes = axes_of(call, 1, 13)
    given = call.has(1) if call.since(13) else axes is not None
    if dims is None or (given and axes is None):
        return Type(call.dtype(0))
    if not axes:
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
    """Dimensions in the order of `perm`, or reversed."""
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
    """Each dimension times its repeats."""
    dims, repeats = call.dims(0), call.elements(1)
    if dims is None or not call.since(6):
        return Type(call.dtype(0))
    if repeats is None:
        return Type(call.dtype(0), (None,) * len(dims))
    pairs = zip(dims, repeats, strict=True)
    return Type(call.dtype(0), (None if d is None or r is None else d * r for d, r in pairs))


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
    """The shape of the input; the attribute gives the element type."""
    code = call.attr("dtype")
    return Type(call.dtype(0) if code is None else dtypes.numpy_dtype(code), call.dims(0))


@types("DepthToSpace")
def depth_to_space(call: Call) -> Type:
    """Channels become blocks in height and width."""
    block = call.attr("blocksize")
    batch, channels, height, width = call.dims(0) or (None,) * 4
    out = (batch, _divided(channels, block * block), _times(height, block), _times(width, block))
    return Type(call.dtype(0), out)


@types("SpaceToDepth")
def space_to_depth(call: Call) -> Type:
    """Blocks in height and width become channels."""
    block = call.attr("blocksize")
    batch, channels, height, width = call.dims(0) or (None,) * 4
    out = (batch, _times(channels, block * block), _divided(height, block), _divided(width, block))
    return Type(call.dtype(0), out)


def _times(dim: Scalar | None, factor: int) -> Scalar | None:
    return None if dim is None else dim * factor


def _divided(dim: Scalar | None, factor: int) -> Scalar | None:
    return None if dim is None else divide(dim, factor)
