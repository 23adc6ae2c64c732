"""HardSwish."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.activation.pieces import about, clipped, over
from passes.fuse.guards import pointwise, takes

SINCE = 14
"""The first opset with the operator HardSwish."""

x = Value("x")
ramp = clipped(x + 3.0, 0.0, 6.0)
gate = op.HardSigmoid(x, alpha=about(1 / 6), beta=about(0.5))


@rule(over(x * ramp, 6.0) | x * over(ramp, 6.0) | over(x, 6.0) * ramp | x * gate, numerics=Close(4), opset=6)
def hard_swish(m: Match, new: Builder) -> Tensor:
    """HardSwish(x) is x min(max(x + 3, 0), 6) / 6; before opset 14, which has none, that is x HardSigmoid(x)."""
    takes(m, x, "HardSwish" if m.opset >= SINCE else "HardSigmoid")
    pointwise(m, x)
    if m.opset >= SINCE:
        return new.HardSwish(m[x])
    m.require(gate not in m, f"HardSwish needs opset {SINCE}, the model has {m.opset}")
    return new.Mul(m[x], new.HardSigmoid(m[x], alpha=1 / 6, beta=0.5))
