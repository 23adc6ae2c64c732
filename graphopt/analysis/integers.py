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
from graphopt.analysis.order import Facts, at_least, equal, maximum, minimum, trunc, truncdiv
from graphopt.analysis.symbolic import Expression, Scalar, ceil, divide, floor, floordiv, is_integral, number
from graphopt.analysis.types import MOST_ELEMENTS, SymbolicArray
from graphopt.ir import dtypes

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphopt.ir.dtypes import DType

Element = Scalar | None


def is_float(dtype: DType | None) -> bool:
    """Whether arithmetic in `dtype` rounds."""
    return dtype is None or dtype in dtypes.FLOATS


# --- what a floating value may stand for ----------------------------------------------------------------------


FACTOR = 16
"""The largest number of which float32 holds the product with every dimension."""


def dyadic(value: Scalar) -> bool:
    """Whether float32 holds `value` exactly: a dyadic number, or a small dyadic multiple of one dimension."""
    if isinstance(value, int) and abs(value) <= 2**24:
        return True
    if not isinstance(value, Expression):
        return value.denominator <= 2**20 and float(np.float32(float(value))) == value
    return all(_small(c) and sum(p for _, p in monomial) <= 1 for monomial, c in value.terms)


def _small(coefficient: int | Fraction) -> bool:
    denominator = coefficient.denominator
    return abs(coefficient.numerator) <= FACTOR and denominator <= FACTOR and denominator & (denominator - 1) == 0


def fitting(value: Element, dtype: DType | None) -> Element:
    """`value` where `dtype` surely holds it: integers wrap, floats round."""
    if value is None or dtype is None:
        return None
    if dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        return value if dyadic(value) else None
    return value if dtype.kind == "b" or (dtype.kind in "iu" and _within(value, dtype)) else None


def _within(value: Scalar, dtype: DType) -> bool:
    """Whether an integer dtype holds `value`; for a dimension, whether it is wide enough to be meant for one."""
    if isinstance(value, Expression):
        return dtype.itemsize >= np.dtype(np.int32).itemsize and (dtype.kind == "i" or at_least(value, 0))
    limits = np.iinfo(dtype)
    return is_integral(value) and limits.min <= value <= limits.max


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


# --- element by element ---------------------------------------------------------------------------------------


def _elementwise(call: Call, function: Callable[..., Element], count: int | None = None) -> SymbolicArray | None:
    """`function` on the broadcast elements of the first `count` inputs; None elements stay None."""
    arrays = [v.array for v in (call.value(i) for i in range(count or len(call.types))) if v is not None]
    if len(arrays) < (count or len(call.types)) or (not call.since(7) and len(arrays) > 1):
        return None
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    if int(np.prod(shape)) > MOST_ELEMENTS:
        return None
    rows = list(zip(*(np.broadcast_to(a, shape).ravel().tolist() for a in arrays), strict=True))
    results = {row: function(*row) for row in dict.fromkeys(rows)}  # masks and indices repeat few values
    return SymbolicArray(shape, tuple(map(results.__getitem__, rows)))


def _arithmetic(function: Callable[[Any, Any], Element]) -> Callable[[Call], SymbolicArray | None]:
    def transfer(call: Call) -> SymbolicArray | None:
        dtype = call.dtype(0) or call.dtype(len(call.types) - 1)

        def combine(*row: Element) -> Element:
            if None in row or (is_float(dtype) and not all(dyadic(x) for x in row if x is not None)):
                return None
            return fitting(reduce(function, row), dtype)

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
        return fitting(a * b, dtype)

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
    """The sign changes."""
    return _elementwise(call, lambda a: None if a is None else -a)


@values("Abs")
def absolute(call: Call) -> SymbolicArray | None:
    """The value or its negative, where the sign is known."""

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
    return _converted(call, dtypes.numpy_dtype(int(call.attr("to"))))


def _converted(call: Call, target: DType) -> SymbolicArray | None:
    def combine(a: Element) -> Element:
        if a is None:
            return None
        if target.kind == "b":
            zero = equal(a, 0)
            return None if zero is None else int(not zero)
        return fitting(trunc(a) if target.kind in "iu" else a, target)

    return _elementwise(call, combine, 1)


@values("CastLike", needs=(0,))
def cast_like(call: Call) -> SymbolicArray | None:
    """As Cast, to the element type of the second input."""
    target = call.dtype(1)
    if target is None:
        return None
    return _converted(call, target)


# --- logic ----------------------------------------------------------------------------------------------------


def _comparison(
    function: Callable[[Facts, Scalar, Scalar], bool | None],
) -> Callable[[Call], SymbolicArray | None]:
    def transfer(call: Call) -> SymbolicArray | None:
        rounds = is_float(call.dtype(0))

        def combine(a: Element, b: Element) -> Element:
            if a is None or b is None or (rounds and not (dyadic(a) and dyadic(b))):
                return None
            known = function(call.facts, a, b)
            return None if known is None else int(known)

        return _elementwise(call, combine)

    return transfer


def _at_most(facts: Facts, a: Scalar, b: Scalar) -> bool | None:
    greater = facts.less(b, a)
    return None if greater is None else not greater


values("Equal")(_comparison(Facts.equal))
values("Less")(_comparison(Facts.less))
values("Greater")(_comparison(lambda facts, a, b: facts.less(b, a)))
values("LessOrEqual")(_comparison(_at_most))
values("GreaterOrEqual")(_comparison(lambda facts, a, b: _at_most(facts, b, a)))


@values("Not")
def not_(call: Call) -> SymbolicArray | None:
    """0 for 1 and 1 for 0."""
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
