"""Variadic operators with one input."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import take

x = Value("x")


@rule(op.one_of("Concat", "Sum", "Mean", "Max", "Min")(x), numerics=Exact())
def single_input(m: Match, _: Builder) -> Tensor:
    """Concat, Sum, Mean, Max or Min of x alone is x."""
    return take(m, x)
