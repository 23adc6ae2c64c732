"""Values of small tensors, as far as they follow from the shapes of others.

Arithmetic is exact. In floating tensors a value stands only for what every run computes exactly, taking named
dimensions to be below 2**20: dyadic fractions, and quotients that nothing but a rounding reads.
"""

from __future__ import annotations

import operator
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from graphopt.analysis.call import Call, values
from graphopt.analysis.operators.layout import axes_of, normalized, slice_bounds, split_sizes
from graphopt.analysis.operators.reduce import reduced_axes
from graphopt.analysis.order import Facts, at_least, equal, maximum, minimum, trunc, truncdiv
from graphopt.analysis.symbolic import Expression, Scalar, ceil, divide, floor, floordiv, is_integral, number
from graphopt.analysis.types import MOST_ELEMENTS, Elements, SymbolicArray
from graphopt.ir import dtypes

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphopt.ir.dtypes import DType

Element = Scalar | None


def is_float(dtype: DType | None) -> bool:
    """Whether arithmetic in `dtype` rounds."""
    return dtype is None or dtype in dtypes.FLOATS


# --- what a floating value may stand for ----------------------------------------------------------------------


def dyadic(value: Scalar) -> bool:
    """Whether float32 holds `value` exactly: a dyadic number, or a small dyadic multiple of one dimension."""
    if not isinstance(value, Expression):
        return Fraction(value).denominator <= 2**20 and float(np.float32(float(value))) == value
    return all(_small(c) and sum(p for _, p in monomial) <= 1 for monomial, c in value.terms)


def _small(coefficient: int | Fraction) -> bool:
    denominator = coefficient.denominator
    return abs(coefficient.numerator) <= 16 and denominator <= 16 and denominator & (denominator - 1) == 0  # noqa: PLR2004


def _fits(value: Element, dtype: DType | None) -> Element:
    """`value` where `dtype` surely holds it: integers wrap, floats round."""
    if value is None:
        return None
    if dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        return value if dyadic(value) else None
    if dtype is None or dtype.kind not in "iub":
        return None
    if not isinstance(value, Expression):
        if dtype.kind == "b":
            return value
        limits = np.iinfo(dtype)
        return value if is_integral(value) and limits.min <= value <= limits.max else None
    if dtype.itemsize < 4 or (dtype.kind == "u" and not at_least(value, 0)):  # noqa: PLR2004
        return None
    return value


# --- element by element ---------------------------------------------------------------------------------------


def _elementwise(call: Call, function: Callable[..., Element], count: int | None = None) -> SymbolicArray | None:
    """`function` on the broadcast elements of the first `count` inputs; None elements stay None."""
    arrays = [v.array for v in (call.value(i) for i in range(count or len(call.types))) if v is not None]
    if len(arrays) < (count or len(call.types)) or (call.version < 7 and len(arrays) > 1):  # noqa: PLR2004
        return None
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    if int(np.prod(shape)) > MOST_ELEMENTS:
        return None
    columns = [np.broadcast_to(a, shape).ravel().tolist() for a in arrays]
    return SymbolicArray(shape, tuple(function(*row) for row in zip(*columns, strict=True)))


def _arithmetic(function: Callable[[Any, Any], Element]) -> Callable[[Call], SymbolicArray | None]:
    def transfer(call: Call) -> SymbolicArray | None:
        dtype = call.dtype(0) or call.dtype(len(call.types) - 1)

        def combine(*row: Element) -> Element:
            if None in row or (is_float(dtype) and not all(dyadic(x) for x in row if x is not None)):
                return None
            return _fits(reduce(function, row), dtype)

        return _elementwise(call, combine)

    return transfer


values("Add", "Sum")(_arithmetic(operator.add))
values("Sub")(_arithmetic(operator.sub))
values("Max")(_arithmetic(maximum))
values("Min")(_arithmetic(minimum))


@values("Mul")
def multiply(call: Call) -> SymbolicArray | None:
    """0 times anything finite is 0; for integers that is everything."""
    dtype = call.dtype(0) or call.dtype(1)

    def combine(a: Element, b: Element) -> Element:
        if not is_float(dtype) and 0 in (a, b):
            return 0
        if a is None or b is None or (is_float(dtype) and not (dyadic(a) and dyadic(b))):
            return None
        return _fits(a * b, dtype)

    return _elementwise(call, combine)


@values("Div")
def div(call: Call) -> SymbolicArray | None:
    """Integers divide toward zero. A float quotient is kept for the rounding that follows, exact or not."""
    dtype = call.dtype(0) or call.dtype(1)
    if not is_float(dtype):
        return _elementwise(call, lambda a, b: None if a is None or b is None else _quotient(call, a, b))

    def quotient(a: Element, b: Element) -> Element:
        if a is None or not isinstance(b, int) or b == 0 or not dyadic(a) or not is_integral(a):
            return None
        return divide(a, b)

    return _elementwise(call, quotient) if dtype in (np.dtype(np.float32), np.dtype(np.float64)) else None


def _quotient(call: Call, a: Scalar, b: Scalar) -> Element:
    if call.facts.at_least(a, 0) and call.facts.at_least(b, 0):
        return floordiv(a, b)
    return truncdiv(a, b)


@values("Mod")
def mod(call: Call) -> SymbolicArray | None:
    """A - b floor(a / b), whose sign is the divisor's; with `fmod` that holds for non-negative operands."""
    signed = bool(call.attr("fmod", 0))

    def combine(a: Element, b: Element) -> Element:
        if a is None or b is None or (signed and not (at_least(a, 0) and at_least(b, 0))):
            return None
        whole = floordiv(a, b)
        return None if whole is None else a - whole * b

    return None if is_float(call.dtype(0)) else _elementwise(call, combine)


@values("Neg")
def neg(call: Call) -> SymbolicArray | None:
    return _elementwise(call, lambda a: None if a is None else -a)


@values("Abs")
def absolute(call: Call) -> SymbolicArray | None:
    def combine(a: Element) -> Element:
        if a is None or call.facts.at_least(a, 0):
            return a
        return -a if at_least(-a, 0) else None

    return _elementwise(call, combine)


def _rounding(function: Callable[[Scalar], Scalar]) -> Callable[[Call], SymbolicArray | None]:
    return lambda call: _elementwise(call, lambda a: None if a is None else function(a))


values("Floor")(_rounding(floor))
values("Ceil")(_rounding(ceil))


@values("Cast")
def cast(call: Call) -> SymbolicArray | None:
    """Between numbers, where the target holds the value; floats become integers toward zero."""
    target = dtypes.numpy_dtype(int(call.attr("to")))

    def combine(a: Element) -> Element:
        if a is None:
            return None
        if target.kind == "b":
            zero = equal(a, 0)
            return None if zero is None else int(not zero)
        return _fits(trunc(a) if target.kind in "iu" else a, target)

    return _elementwise(call, combine)


@values("CastLike", needs=(0,))
def cast_like(call: Call) -> SymbolicArray | None:
    """As Cast, to the element type of the second input."""
    target = call.dtype(1)
    if target is None:
        return None
    return cast(Call("Cast", call.types[:1], call.values[:1], {"to": dtypes.elem_type(target)}, call.version))


# --- logic ----------------------------------------------------------------------------------------------------


def _truth(known: bool | None) -> Element:
    return None if known is None else int(known)


def _comparison(
    function: Callable[[Facts, Scalar, Scalar], bool | None],
) -> Callable[[Call], SymbolicArray | None]:
    def transfer(call: Call) -> SymbolicArray | None:
        rounds = is_float(call.dtype(0))

        def combine(a: Element, b: Element) -> Element:
            if a is None or b is None or (rounds and not (dyadic(a) and dyadic(b))):
                return None
            return _truth(function(call.facts, a, b))

        return _elementwise(call, combine)

    return transfer


def _negated(known: bool | None) -> bool | None:
    return None if known is None else not known


values("Equal")(_comparison(Facts.equal))
values("Less")(_comparison(Facts.less))
values("Greater")(_comparison(lambda facts, a, b: facts.less(b, a)))
values("LessOrEqual")(_comparison(lambda facts, a, b: _negated(facts.less(b, a))))
values("GreaterOrEqual")(_comparison(lambda facts, a, b: _negated(facts.less(a, b))))


@values("Not")
def not_(call: Call) -> SymbolicArray | None:
    return _elementwise(call, lambda a: None if a is None else 1 - a)


@values("And")
def and_(call: Call) -> SymbolicArray | None:
    """False decides alone."""
    return _elementwise(call, lambda a, b: 0 if 0 in (a, b) else None if None in (a, b) else 1)


@values("Or")
def or_(call: Call) -> SymbolicArray | None:
    """True decides alone."""
    return _elementwise(call, lambda a, b: 1 if 1 in (a, b) else None if None in (a, b) else 0)


@values("Where")
def where(call: Call) -> SymbolicArray | None:
    """Equal choices need no condition."""

    def combine(condition: Element, a: Element, b: Element) -> Element:
        if condition is None:
            return a if a == b else None
        return a if condition else b

    return _elementwise(call, combine)


# --- shapes ---------------------------------------------------------------------------------------------------


@values("Shape", needs=())
def shape(call: Call) -> SymbolicArray | None:
    dims = call.dims(0)
    if dims is None:
        return None
    part = dims[call.attr("start", 0) : call.attr("end", len(dims))]
    return SymbolicArray((len(part),), part)


@values("Size", needs=())
def size(call: Call) -> SymbolicArray | None:
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
    dims, fill = target(call, 0), call.attr("value")
    if dims is None or fill is None:
        return None if dims is None else SymbolicArray(dims, (0,) * reduce(operator.mul, dims, 1))
    read = exact(fill.values)
    return None if read is None else SymbolicArray(dims, read.elements * reduce(operator.mul, dims, 1))


def exact(array: np.ndarray[Any, Any]) -> SymbolicArray | None:
    """The values of a small array of numbers."""
    if array.size > MOST_ELEMENTS:
        return None
    if array.dtype.kind in "iub":
        return SymbolicArray(array.shape, tuple(array.astype(object).ravel().tolist()) if array.dtype.kind != "b"
                             else tuple(array.astype(np.int64).ravel().tolist()))  # fmt: skip
    if array.dtype in dtypes.FLOATS:
        floats = array.astype(np.float64).ravel().tolist()
        return SymbolicArray(array.shape, tuple(number(Fraction(x)) if np.isfinite(x) else None for x in floats))
    return None


@values("Constant", needs=())
def constant(call: Call) -> SymbolicArray | None:
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
    return call.value(0)


@values("Reshape")
def reshape(call: Call) -> SymbolicArray | None:
    dims, value = call.attr("shape") if call.version < 5 else call.ints(1), call.value(0)  # noqa: PLR2004
    if dims is None or value is None:
        return None
    if not call.attr("allowzero", 0):
        dims = [value.shape[i] if d == 0 else d for i, d in enumerate(dims)]
    return _moved(call, lambda a: a.reshape(dims))


@values("Flatten")
def flatten(call: Call) -> SymbolicArray | None:
    axis = call.attr("axis", 1)
    return _moved(call, lambda a: a.reshape(int(np.prod(a.shape[:axis])), -1))


@values("Squeeze", needs=(0,))
def squeeze(call: Call) -> SymbolicArray | None:
    axes = axes_of(call, 1, 13)
    if axes is None and call.has(1):
        return None
    return _moved(call, lambda a: a.squeeze(None if axes is None else tuple(axes)))


@values("Unsqueeze", needs=(0,))
def unsqueeze(call: Call) -> SymbolicArray | None:
    axes = axes_of(call, 1, 13)
    return None if axes is None else _moved(call, lambda a: np.expand_dims(a, tuple(axes)))


@values("Transpose")
def transpose(call: Call) -> SymbolicArray | None:
    return _moved(call, lambda a: a.transpose(call.attr("perm")))


@values("Expand")
def expand(call: Call) -> SymbolicArray | None:
    dims = target(call, 1)
    if dims is None:
        return None
    value = call.value(0)
    if value is None or int(np.prod(np.broadcast_shapes(value.shape, dims))) > MOST_ELEMENTS:
        return None
    return _moved(call, lambda a: np.broadcast_to(a, np.broadcast_shapes(a.shape, dims)))


@values("Tile")
def tile(call: Call) -> SymbolicArray | None:
    repeats, value = call.ints(1), call.value(0)
    if repeats is None or value is None or call.version < 6:  # noqa: PLR2004
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
    places, indices = call.ints(1), call.value(1)
    if places is None or indices is None or call.attr("batch_dims", 0):
        return None
    where_ = np.array(places, dtype=np.int64).reshape(indices.shape)
    return _moved(call, lambda a: _wrap(a[tuple(np.moveaxis(where_, -1, 0))]))


@values("Slice", needs=(0,))
def slice_(call: Call) -> SymbolicArray | None:
    value = call.value(0)
    cuts = None if value is None else slice_bounds(call, len(value.shape))
    if value is None or cuts is None:
        return None
    index: list[slice] = [slice(None)] * len(value.shape)
    for axis, start, end, step in cuts:
        if not isinstance(start, int) or not isinstance(end, int):
            return None
        index[axis] = slice(start, end, step)
    return SymbolicArray.of(value.array[tuple(index)])


@values("Split", needs=(0,))
def split(call: Call) -> list[SymbolicArray | None] | None:
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
        return SymbolicArray(shape, tuple(_fits(function(tuple(row)), call.dtype(0)) for row in rows.tolist()))

    return transfer


def _extreme(function: Callable[..., Scalar]) -> Callable[[tuple[Element, ...]], Element]:
    return lambda row: None if None in row or not row else function(*row)


values("ReduceProd", needs=(0,))(_reduction(_product))
values("ReduceSum", needs=(0,))(_reduction(_sum))
values("ReduceMax", needs=(0,))(_reduction(_extreme(maximum)))
values("ReduceMin", needs=(0,))(_reduction(_extreme(minimum)))
