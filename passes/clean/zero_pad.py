"""Pads that add nothing."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import integers, take

x, rest = Value("x"), Rest("pads")
node = op.Pad(x, rest)


@rule(node, numerics=Exact())
def zero_pad(m: Match, _: Builder) -> Tensor:
    """Pad(x, 0) is x."""
    pads = integers(m, node, "paddings" if m.opset == 1 else "pads", 1)
    m.require(pads is not None and not any(pads), "it adds or cuts, or its pads are unknown")
    return take(m, x)
