"""Reshape to a computed shape."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Computed, Exact, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fold import shapes

x, target = Value("x"), Computed("target")
reshape = op.Reshape(x, target)


@rule(reshape, numerics=Exact())
def reshape_target(m: Match, new: Builder) -> Tensor:
    """Reshape(x, computed) is Reshape(x, constant) where the result's dimensions are known or those of x."""
    before, after = m.shapes.dims(m[x]), m.shapes.dims(m.tensor(reshape))
    if before is None or after is None:
        m.refuse("the ranks are unknown")
    written = m.shapes.integers(m[target])
    spelled = shapes.reshape_target(before, after, written.elements if written else ())
    m.require(spelled is not None, "more than one dimension is neither known nor the one of x at its place")
    made: Tensor = new.Reshape(m[x], np.array(spelled, np.int64))
    return made
