"""Values that come from shapes, move between small tensors, or are reduced."""

from __future__ import annotations

import operator
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from graphopt.analysis.call import Call, values
from graphopt.analysis.integers import Element, exact, fitting, is_float
from graphopt.analysis.operators.cutting import slice_bounds, split_sizes, taken
from graphopt.analysis.operators.layout import axes_of, normalized
from graphopt.analysis.operators.reduce import reduced_axes
from graphopt.analysis.order import maximum, minimum
from graphopt.analysis.symbolic import Scalar
from graphopt.analysis.types import MOST_ELEMENTS, Elements, SymbolicArray

if TYPE_CHECKING:
    from collections.abc import Callable


@values("Shape", needs=())
def shape(call: Call) -> SymbolicArray | None:
    """The dimensions themselves."""
    dims = call.dims(0)
    if dims is None:
        return None
    part = dims[call.attr("start", 0) : call.attr("end", len(dims))]
    return SymbolicArray((len(part),), part)


@values("Size", needs=())
def size(call: Call) -> SymbolicArray | None:
    """The product of the dimensions."""
    dims = call.dims(0)
    if dims is None or (None in dims and 0 not in dims):
        return None
    return SymbolicArray((), (0 if 0 in dims else _product(dims),))


def _product(elements: tuple[Element, ...]) -> Element:
    if None in elements:
        return None
    total: Scalar = 1
    for element in elements:
        total = total * (1 if element is None else element)
    return total


def _sum(elements: tuple[Element, ...]) -> Element:
    if None in elements:
        return None
    total: Scalar = 0
    for element in elements:
        total = total + (0 if element is None else element)
    return total


def target(call: Call, index: int) -> tuple[int, ...] | None:
    """The shape that input `index` spells, if it is a small one of numbers."""
    dims = call.ints(index)
    if dims is None or min(dims, default=0) < 0 or reduce(operator.mul, dims, 1) > MOST_ELEMENTS:
        return None
    return tuple(dims)


@values("ConstantOfShape")
def constant_of_shape(call: Call) -> SymbolicArray | None:
    """One value everywhere, 0 unless the attribute says otherwise."""
    dims, fill = target(call, 0), call.attr("value")
    if dims is None or fill is None:
        return None if dims is None else SymbolicArray(dims, (0,) * reduce(operator.mul, dims, 1))
    read = exact(fill.values)
    return None if read is None else SymbolicArray(dims, read.elements * reduce(operator.mul, dims, 1))


@values("Constant", needs=())
def constant(call: Call) -> SymbolicArray | None:
    """The attributes that hold plain numbers."""
    for name, dtype in (
        ("value_int", np.int64),
        ("value_ints", np.int64),
        ("value_float", np.float32),
        ("value_floats", np.float32),
    ):
        if name in call.attrs:
            return exact(np.asarray(call.attrs[name], dtype))
    return None


@values("Range")
def range_(call: Call) -> SymbolicArray | None:
    """Small ranges of integers."""
    ends = [call.ints(i) for i in range(3)]
    if is_float(call.dtype(0)) or not all(e is not None and len(e) == 1 for e in ends):
        return None
    found = range(*(e[0] for e in ends if e is not None))
    return SymbolicArray((len(found),), tuple(found)) if len(found) <= MOST_ELEMENTS else None


# --- movement -------------------------------------------------------------------------------------------------


def _moved(call: Call, move: Callable[[Elements], Elements]) -> SymbolicArray | None:
    value = call.value(0)
    return None if value is None else SymbolicArray.of(move(value.array))


@values("Identity")
def identity(call: Call) -> SymbolicArray | None:
    """The values of the input."""
    return call.value(0)


@values("Reshape")
def reshape(call: Call) -> SymbolicArray | None:
    """The same elements in another shape."""
    dims, value = call.attr("shape") if not call.since(5) else call.ints(1), call.value(0)
    if dims is None or value is None:
        return None
    if not call.attr("allowzero", 0):
        dims = [value.shape[i] if d == 0 else d for i, d in enumerate(dims)]
    return _moved(call, lambda a: a.reshape(dims))


@values("Flatten")
def flatten(call: Call) -> SymbolicArray | None:
    """The same elements in two dimensions."""
    axis = call.attr("axis", 1)
    return _moved(call, lambda a: a.reshape(int(np.prod(a.shape[:axis])), -1))


@values("Squeeze", needs=(0,))
def squeeze(call: Call) -> SymbolicArray | None:
    """The same elements without dimensions of 1: all of them, if no axes are given or an empty list of them is."""
    axes = axes_of(call, 1, 13)
    if axes is None and call.has(1):
        return None
    return _moved(call, lambda a: a.squeeze(tuple(axes) if axes else None))


@values("Unsqueeze", needs=(0,))
def unsqueeze(call: Call) -> SymbolicArray | None:
    """The same elements with dimensions of 1."""
    axes = axes_of(call, 1, 13)
    return None if axes is None else _moved(call, lambda a: np.expand_dims(a, tuple(axes)))


@values("Transpose")
def transpose(call: Call) -> SymbolicArray | None:
    """The dimensions change places."""
    return _moved(call, lambda a: a.transpose(call.attr("perm")))


@values("Expand")
def expand(call: Call) -> SymbolicArray | None:
    """Elements are repeated up to a shape of numbers."""
    dims = target(call, 1)
    if dims is None:
        return None
    value = call.value(0)
    if value is None or int(np.prod(np.broadcast_shapes(value.shape, dims))) > MOST_ELEMENTS:
        return None
    return _moved(call, lambda a: np.broadcast_to(a, np.broadcast_shapes(a.shape, dims)))


@values("Tile")
def tile(call: Call) -> SymbolicArray | None:
    """The whole is repeated."""
    repeats, value = call.ints(1), call.value(0)
    if repeats is None or value is None or not call.since(6):
        return None
    if int(np.prod(repeats)) * len(value.elements) > MOST_ELEMENTS:
        return None
    return _moved(call, lambda a: np.tile(a, repeats))


@values("Concat", needs=())
def concat(call: Call) -> SymbolicArray | None:
    """Parts of unknown values are parts of None, if their size is known."""
    parts = [_known_size(call, i) for i in range(len(call.types))]
    known = [p for p in parts if p is not None]
    if len(known) < len(parts) or sum(p.size for p in known) > MOST_ELEMENTS or all(
        call.value(i) is None for i in range(len(call.types))
    ):  # fmt: skip
        return None
    return SymbolicArray.of(np.concatenate(known, axis=call.attr("axis", 1)))


def _known_size(call: Call, index: int) -> Elements | None:
    value, dims = call.value(index), call.dims(index)
    if value is not None:
        return value.array
    if dims is None:
        return None
    sizes = [d for d in dims if isinstance(d, int)]
    if len(sizes) < len(dims) or reduce(operator.mul, sizes, 1) > MOST_ELEMENTS:
        return None
    return np.full(sizes, None, dtype=object)


@values("Gather")
def gather(call: Call) -> SymbolicArray | None:
    """Elements at known places."""
    places, indices = call.ints(1), call.value(1)
    if places is None or indices is None:
        return None
    where_ = np.array(places, dtype=np.int64).reshape(indices.shape)
    return _moved(call, lambda a: _wrap(np.take(a, where_, axis=call.attr("axis", 0))))


def _wrap(found: Any) -> Elements:
    """NumPy returns the element itself where the result has no dimensions."""
    if isinstance(found, np.ndarray):
        return found
    result = np.empty((), dtype=object)
    result[()] = found
    return result


@values("GatherElements")
def gather_elements(call: Call) -> SymbolicArray | None:
    """One element for each known place."""
    places, indices = call.ints(1), call.value(1)
    if places is None or indices is None:
        return None
    where_ = np.array(places, dtype=np.int64).reshape(indices.shape)
    axis = call.attr("axis", 0)

    def move(a: Elements) -> Elements:
        grid = list(np.indices(where_.shape))
        grid[axis] = where_
        return _wrap(a[tuple(grid)])

    return _moved(call, move)


@values("GatherND")
def gather_nd(call: Call) -> SymbolicArray | None:
    """Elements or parts at known places."""
    places, indices = call.ints(1), call.value(1)
    if places is None or indices is None or call.attr("batch_dims", 0):
        return None
    where_ = np.array(places, dtype=np.int64).reshape(indices.shape)
    return _moved(call, lambda a: _wrap(a[tuple(np.moveaxis(where_, -1, 0))]))


@values("Slice", needs=(0,))
def slice_(call: Call) -> SymbolicArray | None:
    """A part, where its ends are numbers."""
    value = call.value(0)
    cuts = None if value is None else slice_bounds(call, len(value.shape))
    if value is None or cuts is None:
        return None
    array = value.array
    for axis, start, end, step in cuts:
        if not isinstance(start, int) or not isinstance(end, int):
            return None
        array = array.take(taken(array.shape[axis], start, end, step), axis)
    return SymbolicArray.of(array)


@values("Split", needs=(0,))
def split(call: Call) -> list[SymbolicArray | None] | None:
    """Parts of known sizes."""
    value = call.value(0)
    if value is None:
        return None
    axis = normalized([call.attr("axis", 0)], len(value.shape))[0]
    sizes = [s for s in split_sizes(call, value.shape[axis]) if isinstance(s, int)]
    if len(sizes) != call.outputs:
        return None
    parts = np.split(value.array, np.cumsum(sizes)[:-1], axis=axis)
    return [SymbolicArray.of(part) for part in parts]


# --- reductions -----------------------------------------------------------------------------------------------


def _reduction(function: Callable[[tuple[Element, ...]], Element]) -> Callable[[Call], SymbolicArray | None]:
    def transfer(call: Call) -> SymbolicArray | None:
        value = call.value(0)
        axes = None if value is None else reduced_axes(call, len(value.shape))
        if value is None or axes is None or is_float(call.dtype(0)):
            return None
        kept = [i for i in range(len(value.shape)) if i not in axes]
        rows = value.array.transpose(kept + axes).reshape(int(np.prod([value.shape[i] for i in kept])), -1)
        shape = tuple(value.shape[i] for i in kept)
        if call.attr("keepdims", 1):
            shape = tuple(1 if i in axes else n for i, n in enumerate(value.shape))
        return SymbolicArray(shape, tuple(fitting(function(tuple(row)), call.dtype(0)) for row in rows.tolist()))

    return transfer


def _extreme(function: Callable[..., Scalar]) -> Callable[[tuple[Element, ...]], Element]:
    return lambda row: None if None in row or not row else function(*row)


values("ReduceProd", needs=(0,))(_reduction(_product))
values("ReduceSum", needs=(0,))(_reduction(_sum))
values("ReduceMax", needs=(0,))(_reduction(_extreme(maximum)))
values("ReduceMin", needs=(0,))(_reduction(_extreme(minimum)))
