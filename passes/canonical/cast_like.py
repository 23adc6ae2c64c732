"""CastLike, whose second operand only lends its type."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.ir.dtypes import elem_type
from graphopt.ir.types import Tensor

x, like = Value("x"), Value("like")
call = op.CastLike(x, like)


@rule(call, numerics=Exact())
def cast_like(m: Match, new: Builder) -> Tensor:
    """CastLike(x, y) is Cast(x) to the type of y, and does not depend on y."""
    dtype = m.dtype(like)
    if dtype is None:
        m.refuse("the type of the second operand is unknown")
    return new.Cast(m[x], to=elem_type(dtype), saturate=m.attr(call, "saturate"), round_mode=m.attr(call, "round_mode"))
