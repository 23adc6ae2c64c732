"""Slice to a computed end."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Computed, Exact, Match, Opt, op, rule, values
from graphopt.ir.types import Tensor
from passes.fold import shapes

x, starts, axes, steps = values("x starts axes steps")
ends = Computed("ends")
cut = op.Slice(x, starts, ends, Opt(axes), Opt(steps))


@rule(cut, numerics=Exact())
def slice_end(m: Match, new: Builder) -> Tensor:
    """Slice(x, known, computed) is Slice(x, constant) where the ends are known or the dimensions of x."""
    stride = m.known(steps) if steps in m else np.ones(1)
    m.require(stride is not None and (stride == 1).all(), "the steps are not known to be 1")
    before, first, last = m.shapes.dims(m[x]), m.known(starts), m.shapes.integers(m[ends])
    along = m.known(axes) if axes in m else first is not None and np.arange(first.size)
    if first is None or last is None or before is None or not isinstance(along, np.ndarray):
        m.refuse("starts, axes or the rank are unknown")
    bounds = [shapes.END if end == before[axis] else end for end, axis in zip(last.elements, along, strict=True)]
    m.require(all(isinstance(end, int) for end in bounds), "an end is neither known nor the dimension of x")
    made: Tensor = new.Slice(m[x], *(np.array(part, np.int64) for part in (first, bounds, along)))
    return made
