"""Identity."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import take

x = Value("x")


@rule(op.Identity(x), numerics=Exact())
def identity(m: Match, _: Builder) -> Tensor:
    """Identity(x) is x."""
    return take(m, x)
