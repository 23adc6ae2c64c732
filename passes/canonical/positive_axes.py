"""Axes of reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphopt import Builder, Exact, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import integers

NAMES = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare"
x, axes = Value("x"), Value("axes")
node = op.one_of(*("Reduce" + name for name in NAMES.split()))(x, Opt(axes))


@rule(node, numerics=Exact())
def positive_axes(m: Match, new: Builder) -> Tensor:
    """A reduction over axes counted from the end is one over axes counted from the front, where the rank is known."""
    rank, given = m.rank(x), integers(m, node, "axes", 1)
    if rank is None or given is None:
        m.refuse("the axes or the number of axes are unknown")
    m.require(min(given, default=0) < 0, "no axis is counted from the end")
    attrs: dict[str, Any] = dict(m[node].attrs)
    counted, inputs = sorted(axis % rank for axis in given), [m[x]]
    if axes in m:
        inputs.append(np.array(counted, np.int64))
    else:
        attrs["axes"] = counted
    made: Tensor = new.node(m[node].op, *inputs, **attrs)
    return made
