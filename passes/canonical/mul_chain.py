"""Two constants multiplied one after the other."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Computed, Const, Exact, Match, rule
from graphopt.ir.dtypes import INTEGERS
from graphopt.ir.types import Tensor
from passes.canonical.operands import NUMPY_BROADCASTING, floating, is_normal, merged, number

MARGIN = 0.25
"""The part of a type's exponents in which factors, and their product, must lie."""

x, a, b = Computed("x"), Const("a"), Const("b")
product = x * a * b


@rule(product, numerics=Close(2), opset=NUMPY_BROADCASTING)
def mul_chain(m: Match, new: Builder) -> Tensor:
    """(x * a) * b is x * (a * b), if neither factor is so large or small that one of them would overflow."""
    dtype, left, right = floating(m, m.tensor(product)), number(m, a), number(m, b)
    both = merged(m, left, right, left * right)
    moderate = all(is_normal(one, dtype, MARGIN) for one in (left, right, both))
    m.require(moderate, "a factor is zero, very small or very large")
    return new.Mul(m[x], both)


@rule(product, numerics=Exact(), opset=NUMPY_BROADCASTING)
def mul_chain_integers(m: Match, new: Builder) -> Tensor:
    """(x * a) * b is x * (a * b), for integers, which wrap around."""
    m.require(m.dtype(product) in INTEGERS, "they are no integers")
    left, right = number(m, a), number(m, b)
    return new.Mul(m[x], merged(m, left, right, np.asarray(left * right)))
