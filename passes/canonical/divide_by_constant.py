"""Division by a constant."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Computed, Const, Exact, Match, rule
from graphopt.ir.types import Array, Tensor
from passes.canonical.operands import NUMPY_BROADCASTING, floating, is_normal, number

x, c = Computed("x"), Const("c")
quotient = x / c


def reciprocal(m: Match) -> tuple[Array, bool]:
    """1 / c, and whether it is exact. Refuses where it is zero, infinite or denormal, as c may be."""
    dtype, divisor = floating(m, m.tensor(quotient)), number(m, c)
    m.require(is_normal(divisor, dtype), "the divisor is not a normal number")
    inverse = 1 / divisor
    m.require(is_normal(inverse, dtype), "the reciprocal is not a normal number")
    return inverse, bool((np.frexp(np.abs(divisor))[0] == np.frexp(1.0)[0]).all())


@rule(quotient, numerics=Exact(), opset=NUMPY_BROADCASTING)
def divide_by_power_of_two(m: Match, new: Builder) -> Tensor:
    """The quotient x / 2^k is x * 2^-k."""
    inverse, exact = reciprocal(m)
    m.require(exact, "the divisor is not a power of two")
    return new.Mul(m[x], inverse)


@rule(quotient, numerics=Close(1), opset=NUMPY_BROADCASTING)
def divide_by_constant(m: Match, new: Builder) -> Tensor:
    """The quotient x / c is x * (1 / c)."""
    inverse, exact = reciprocal(m)
    m.require(not exact, "divide_by_power_of_two does this")
    return new.Mul(m[x], inverse)
