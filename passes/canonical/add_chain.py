"""Two constants added one after the other."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Computed, Const, Exact, Match, rule
from graphopt.ir.dtypes import INTEGERS
from graphopt.ir.types import Tensor
from passes.canonical.operands import NUMPY_BROADCASTING, floating, merged, number

x, a, b = Computed("x"), Const("a"), Const("b")
total = x + a + b


@rule(total, numerics=Close(4), opset=NUMPY_BROADCASTING)
def add_chain(m: Match, new: Builder) -> Tensor:
    """(x + a) + b is x + (a + b), if a and b do not cancel."""
    floating(m, m.tensor(total))
    left, right = number(m, a), number(m, b)
    both = merged(m, left, right, left + right)
    m.require((2 * np.abs(both) >= np.maximum(np.abs(left), np.abs(right))).all(), "the two constants cancel")
    return new.Add(m[x], both)


@rule(total, numerics=Exact(), opset=NUMPY_BROADCASTING)
def add_chain_integers(m: Match, new: Builder) -> Tensor:
    """(x + a) + b is x + (a + b), for integers, which wrap around."""
    m.require(m.dtype(total) in INTEGERS, "they are no integers")
    left, right = number(m, a), number(m, b)
    return new.Add(m[x], merged(m, left, right, np.asarray(left + right)))
