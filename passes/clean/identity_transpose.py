"""Transposes that leave every axis where it is."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import take

x = Value("x")
node = op.Transpose(x)


@rule(node, numerics=Exact())
def identity_transpose(m: Match, _: Builder) -> Tensor:
    """Transpose(x, perm=[0, 1, ...]) is x."""
    perm, rank = m.attr(node, "perm"), m.rank(x)
    if perm is None:
        m.require(rank is not None and rank <= 1, "it reverses the axes")
    else:
        m.require(perm == sorted(perm), "it moves axes")
    return take(m, x)
