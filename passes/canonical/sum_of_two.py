"""Sums of two tensors."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.canonical.operands import NUMPY_BROADCASTING

x, y = Value("x"), Value("y")
node = op.Sum(x, y)


@rule(node, numerics=Exact(), opset=NUMPY_BROADCASTING)
def sum_of_two(m: Match, new: Builder) -> Tensor:
    """Sum(x, y) is Add(x, y)."""
    return new.Add(*m[node].inputs)
