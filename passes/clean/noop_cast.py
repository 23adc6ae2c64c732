"""Casts to the type that the tensor already has."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import take

x, rest = Value("x"), Rest("like")
cast = op.one_of("Cast", "CastLike")(x, rest)


@rule(cast, numerics=Exact())
def noop_cast(m: Match, _: Builder) -> Tensor:
    """Cast(x, to=T) is x if x has the type T."""
    dtype = m.dtype(x)
    m.require(dtype is not None and dtype == m.dtype(cast), "the type changes, or is unknown")
    return take(m, x)
