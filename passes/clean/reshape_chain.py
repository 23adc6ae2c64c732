"""Two operators in a row that only rename axes or regroup elements."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import integers

x, first, second = Value("x"), Rest("inner shape"), Rest("outer shape")
REGROUPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
inner = op.one_of(*REGROUPING)(x, first)
outer = op.one_of(*REGROUPING)(inner, second)
FIRST_WITH_INPUT = 5


def target(m: Match) -> list[int]:
    """A Reshape target from x to the outer result: known lengths, 0 for a length of x, at most one -1."""
    shape, source = m.shape(outer), m.shape(x) or ()
    if shape is None:
        m.refuse("the number of axes is unknown")
    m.require(0 not in shape, "it is empty")
    dims = [
        dim if isinstance(dim, int) else 0 if dim is not None and source[at : at + 1] == (dim,) else -1
        for at, dim in enumerate(shape)
    ]
    m.require(dims.count(-1) <= 1, "several lengths are unknown")
    return dims


@rule(outer, numerics=Exact(), opset=FIRST_WITH_INPUT)
def reshape_chain(m: Match, new: Builder) -> Tensor:
    """Of two of Reshape, Flatten, Squeeze and Unsqueeze in a row the elements stay in order: one Reshape will do."""
    m.require({m[outer].op, m[inner].op} not in ({"Squeeze"}, {"Unsqueeze"}), "squeeze_chain makes it one of these")
    if m[outer].op == "Reshape" and 0 not in (integers(m, outer, "shape", 1) or [0]):
        return new.Reshape(m[x], m[second][0])
    return new.Reshape(m[x], np.array(target(m), np.int64))
