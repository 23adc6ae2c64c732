"""Expand to a computed shape."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Computed, Exact, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fold import shapes

x, target = Value("x"), Computed("target")
expand = op.Expand(x, target)


@rule(expand, numerics=Exact())
def expand_target(m: Match, new: Builder) -> Tensor:
    """Expand(x, computed) is Expand(x, constant) where each dimension that it expands to is known."""
    before, after = m.shapes.dims(m[x]), m.shapes.dims(m.tensor(expand))
    if before is None or after is None:
        m.refuse("the ranks are unknown")
    spelled = shapes.expand_target(before, after)
    m.require(spelled is not None, "it expands to a dimension that is not known")
    made: Tensor = new.Expand(m[x], np.array(spelled, np.int64))
    return made
