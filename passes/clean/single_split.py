"""Splits into one part."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import take

x, rest = Value("x"), Rest("sizes")
node = op.Split(x, rest)


@rule(node, numerics=Exact())
def single_split(m: Match, _: Builder) -> Tensor:
    """Split(x) with one output is x."""
    m.require(len(m[node].outputs) == 1, "it has several parts")
    return take(m, x)
