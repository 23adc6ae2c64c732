"""Neg next to other arithmetic."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Const, Exact, Match, Value, rule
from graphopt.ir.types import Tensor
from passes.canonical.operands import NUMPY_BROADCASTING, number

x, y, c = Value("x"), Value("y"), Const("c")


@rule(x + -y, numerics=Exact(), opset=NUMPY_BROADCASTING)
def add_negated(m: Match, new: Builder) -> Tensor:
    """The sum x + (-y) is x - y."""
    return new.Sub(m[x], m[y])


@rule(x - -y, numerics=Exact(), opset=NUMPY_BROADCASTING)
def subtract_negated(m: Match, new: Builder) -> Tensor:
    """The difference x - (-y) is x + y."""
    return new.Add(m[x], m[y])


@rule(-x * c | -(x * c), numerics=Exact(), opset=NUMPY_BROADCASTING)
def multiply_negated(m: Match, new: Builder) -> Tensor:
    """(-x) * c and -(x * c) are x * (-c)."""
    return new.Mul(m[x], np.asarray(-number(m, c)))
