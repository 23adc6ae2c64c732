"""LeakyRelu."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.guards import number, pointwise, takes

x, slope = Value("x"), Const("slope")
larger = op.Max(x, x * slope)
chosen = op.Where(op.one_of("Greater", "GreaterOrEqual")(x, 0.0), x, x * slope)
chosen_below = op.Where(op.one_of("Less", "LessOrEqual")(x, 0.0), x * slope, x)


@rule(larger | chosen | chosen_below, numerics=Close(1), opset=6)
def leaky_relu(m: Match, new: Builder) -> Tensor:
    """max(x, a x) with a from 0 to 1, or the choice between x and a x by the sign of x, is LeakyRelu(x)."""
    takes(m, x, "LeakyRelu")
    pointwise(m, x)
    alpha = number(m, slope)
    m.require(larger not in m or 0 <= alpha <= 1, f"the larger of x and {alpha:g} x is no LeakyRelu")
    return new.LeakyRelu(m[x], alpha=alpha)
