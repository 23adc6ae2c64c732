"""Clip."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.guards import number, pointwise, takes

LIMITS_ARE_INPUTS, TAKES_DOUBLE = 11, 12
"""The first opset in which Clip takes its limits as inputs, and the first in which a CPU runs it in float64."""

x, low, high = Value("x"), Const("low"), Const("high")


@rule(op.Min(op.Max(x, low), high) | op.Max(op.Min(x, high), low), numerics=Close(0), opset=6)
def clip(m: Match, new: Builder) -> Tensor:
    """min(max(x, a), b) with a below b is Clip(x)."""
    takes(m, x, "Clip", double=m.opset >= TAKES_DOUBLE)
    pointwise(m, x)
    a, b = number(m, low), number(m, high)
    m.require(a <= b, f"the limits {a:g} and {b:g} are the wrong way round")
    return new.Clip(m[x], a, b) if m.opset >= LIMITS_ARE_INPUTS else new.Clip(m[x], min=a, max=b)
