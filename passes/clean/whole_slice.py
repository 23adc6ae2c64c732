"""Slices of everything."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import FOREVER, absent, integers, same_shape, take

x, rest = Value("x"), Rest("bounds")
node = op.Slice(x, rest)


@rule(node, numerics=Exact())
def whole_slice(m: Match, _: Builder) -> Tensor:
    """Slice(x) is x if it starts at 0 with step 1 and has the shape of x, or has no end."""
    forwards, starts, ends = absent(m, node, "steps", 4), integers(m, node, "starts", 1), integers(m, node, "ends", 2)
    steps = [1] if forwards else integers(m, node, "steps", 4)
    m.require(steps is not None and min(steps, default=1) > 0, "a step is negative, or unknown")
    endless = steps is not None and max(steps, default=1) == 1 and starts is not None and ends is not None
    endless = endless and not any(starts or ()) and min(ends or (), default=FOREVER) >= FOREVER
    m.require(endless or same_shape(m, x, node), "something is cut off, or a shape is unknown")
    return take(m, x)
