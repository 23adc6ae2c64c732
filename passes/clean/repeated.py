"""Operators that do nothing the second time, and operators that undo themselves."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import take

x = Value("x")
again = op.one_of("Relu", "Abs", "Ceil", "Floor", "Round", "Sign")
once = again(x).shared()
twice = again(once)
undo = op.one_of("Not", "Neg", "BitwiseNot")
done = undo(x).shared()
undone = undo(done)


@rule(twice, numerics=Exact())
def idempotent(m: Match, _: Builder) -> Tensor:
    """Relu(Relu(x)) is Relu(x); so for Abs, Ceil, Floor, Round and Sign."""
    m.require(m[twice].op == m[once].op, "two different operators")
    return take(m, once)


@rule(undone, numerics=Exact())
def involution(m: Match, _: Builder) -> Tensor:
    """Not(Not(x)), Neg(Neg(x)) and BitwiseNot(BitwiseNot(x)) are x."""
    m.require(m[undone].op == m[done].op, "two different operators")
    return take(m, x)
