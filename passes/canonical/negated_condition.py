"""Where with a condition that is turned round."""

from __future__ import annotations

from graphopt import Builder, Close, Match, op, rule, values
from graphopt.ir.types import Tensor

condition, a, b = values("condition a b")


@rule(op.Where(op.Not(condition), a, b), numerics=Close(0), opset=9)
def negated_condition(m: Match, new: Builder) -> Tensor:
    """Where(not c, a, b) is Where(c, b, a); runtimes may make 0.0 of -0.0 in one of them."""
    return new.Where(m[condition], m[b], m[a])
