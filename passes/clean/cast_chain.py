"""Two Casts in a row, of which the first loses nothing."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.ir.dtypes import FLOATS, INTEGERS, DType
from graphopt.ir.types import Tensor

HALF, BRAIN, SINGLE, DOUBLE = map(np.dtype, (np.float16, ml_dtypes.bfloat16, np.float32, np.float64))
BOOL, UNKNOWN = np.dtype(np.bool_), np.dtype(np.object_)
SIGNIFICANT = {HALF: 11, BRAIN: 8, SINGLE: 24, DOUBLE: 53}
"""Bits up to which a floating type represents every integer."""
WITHIN = {SINGLE: (HALF, BRAIN), DOUBLE: (HALF, BRAIN, SINGLE)}
"""The other floating types whose values a floating type represents."""

x = Value("x")
inner = op.Cast(x).shared()
outer = op.Cast(inner)


def holds(wide: DType, narrow: DType) -> bool:
    """Whether `wide` represents every value of `narrow`; both are of FLOATS, INTEGERS or bool."""
    if narrow in (wide, BOOL):
        return True
    if narrow in INTEGERS and wide in INTEGERS:
        return np.can_cast(narrow, wide)
    if narrow in INTEGERS and wide in FLOATS:
        return np.iinfo(narrow).bits - (narrow.kind == "i") <= SIGNIFICANT[wide]
    return narrow in WITHIN.get(wide, ())


@rule(outer, numerics=Exact())
def cast_chain(m: Match, new: Builder) -> Tensor:
    """Cast(Cast(x, A), B) is Cast(x, B) if A represents every value of x."""
    first, middle, last = (m.dtype(part) or UNKNOWN for part in (x, inner, outer))
    numbers = FLOATS | INTEGERS | {BOOL}
    m.require(numbers.issuperset((first, middle, last)), "a type is unknown, or not a plain number")
    m.require(holds(middle, first), "the first Cast loses values")
    cut = first in INTEGERS and middle in FLOATS and last in INTEGERS and not holds(last, first)
    m.require(not cut, "integers and floats that the last type cannot hold convert differently")
    return new.Cast(m[x], **m[outer].attrs)
