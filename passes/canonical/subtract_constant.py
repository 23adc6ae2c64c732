"""Subtraction of a constant."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Computed, Const, Exact, Match, rule
from graphopt.ir.types import Tensor
from passes.canonical.operands import NUMPY_BROADCASTING, number

x, c = Computed("x"), Const("c")


@rule(x - c, numerics=Exact(), opset=NUMPY_BROADCASTING)
def subtract_constant(m: Match, new: Builder) -> Tensor:
    """The difference x - c is x + (-c), for integers too, which wrap around."""
    return new.Add(m[x], np.asarray(-number(m, c)))
