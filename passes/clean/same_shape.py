"""Operators that keep the elements in their order, where they keep the shape too."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean import guards

x, rest = Value("x"), Rest("shape")
node = op.one_of("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Tile")(x, rest)


@rule(node, numerics=Exact())
def same_shape(m: Match, _: Builder) -> Tensor:
    """Reshape, Flatten, Squeeze, Unsqueeze, Expand or Tile of x is x if it has the shape of x."""
    m.require(guards.same_shape(m, x, node), "the shape changes, or is unknown")
    return guards.take(m, x)
