"""Dropout that is not in training mode."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.numerics.nondeterminism import nondeterministic
from passes.clean.guards import take

x, rest = Value("x"), Rest("ratio and mode")
node = op.Dropout(x, rest)
ALWAYS_INFERENCE = 7


@rule(node, numerics=Exact())
def inference_dropout(m: Match, _: Builder) -> Tensor:
    """Dropout(x) outside training is x, if nobody reads its mask."""
    inference = bool(m.attr(node, "is_test", 0)) if m.opset < ALWAYS_INFERENCE else not nondeterministic(m[node])
    m.require(inference, "it is, or may be, in training mode")
    masks = m[node].outputs[1:]
    m.require(not any(mask.outputs or m.is_output(mask) for mask in masks), "its mask is used")
    return take(m, x)
