"""Initial states of recurrent layers that are zero."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.ir import values
from graphopt.ir.types import Tensor, Variable
from passes.clean.guards import all_equal

first, rest = Value("X"), Rest("operands")
layer = op.one_of("LSTM", "GRU", "RNN")(first, rest)
MOVES = frozenset({"Slice", "Expand", "Tile", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Gather"})
"""Operators whose result holds only elements of their first input."""
STATES = (5, 6)
"""The inputs initial_h and initial_c."""


def is_zero(m: Match, tensor: Tensor) -> bool:
    """Whether a tensor is certainly all zeros: elements of a constant, or of a ConstantOfShape without another value."""
    while (producer := tensor.producer) is not None and producer.op in MOVES and not producer.domain:
        tensor = producer.inputs[0]
    if producer is not None and producer.op == "ConstantOfShape" and not producer.domain:
        filled = values.constant_of_node(producer.attrs)
        return filled is None or not filled.values.any()
    return all_equal(m, tensor, 0)


@rule(layer, numerics=Exact())
def zero_state(m: Match, new: Builder) -> list[Tensor | None]:
    """A recurrent layer starts from zero by itself: states that are zero, and what computes them, can go."""
    inputs = [m[first], *m[rest]]
    zero = [at for at in STATES if at < len(inputs) and inputs[at].name and is_zero(m, inputs[at])]
    m.require(zero, "no initial state is known to be zero")
    kept = [None if at in zero else tensor for at, tensor in enumerate(inputs)]
    outputs = m[layer].outputs
    made = new.node(m[layer].op, *kept, outputs=len(outputs), **m[layer].attrs)
    results = [made] if isinstance(made, Variable) else made
    return [result if old.name else None for result, old in zip(results, outputs, strict=True)]
