"""A sum with zeros."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, Value, op, rule
from graphopt.ir import values
from graphopt.ir.types import Tensor
from passes.clean.guards import same_shape, take

x, zeros = Value("x"), Const("zeros")
MOST = 65536
"""Constants with more elements are not looked at: biases are shorter."""


@rule(op.Add(x, zeros) | op.Sub(x, zeros), numerics=Close(0))
def zero_term(m: Match, _: Builder) -> Tensor:
    """Adding or subtracting zero changes nothing but the sign of a zero: networks are exported with zero biases."""
    held = values.constant(m.tensor(zeros))
    m.require(held is not None and held.size <= MOST, "the constant is large")
    m.require(not m[zeros].any(), "the constant is not zero", final=True)
    m.require(same_shape(m, x, m.root.outputs[0]), "the constant broadcasts, or a shape is unknown")
    return take(m, x)
