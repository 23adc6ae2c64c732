"""Two of Clip and Relu in a row."""

from __future__ import annotations

import math

import numpy as np

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import Tensor
from graphopt.rewrite.pattern import Node
from passes.clean.guards import small

x, first, second = Value("x"), Rest("inner bounds"), Rest("outer bounds")
inner = op.one_of("Clip", "Relu")(x, first)
outer = op.one_of("Clip", "Relu")(inner, second)
FIRST_WITH_INPUTS = 11


def bounds(m: Match, call: Node) -> tuple[float, float]:
    """The smallest and the largest result; infinite where there is no bound. Refuses unless both are known."""
    if m[call].op == "Relu":
        return 0.0, math.inf
    found = [m.attr(call, "min", -math.inf), m.attr(call, "max", math.inf)]
    for at, tensor in enumerate(m[call].inputs[1:]):
        array = small(m, tensor) if tensor.name else np.array(found[at])
        if array is None or array.size != 1:
            m.refuse("a bound is not a constant number")
        found[at] = array.reshape(-1)[0].item()
    m.require(found[0] <= found[1], "the bounds are in the wrong order")
    return found[0], found[1]


@rule(outer, numerics=Exact())
def clip_chain(m: Match, new: Builder) -> Tensor:
    """Clip(Clip(x, a, b), c, d) is Clip(x, e, f) where e and f are a and b, clipped to c and d; Relu is Clip(x, 0)."""
    m.require("Clip" in (m[outer].op, m[inner].op), "neither is a Clip")
    low, high = bounds(m, outer)
    new_bounds = [min(max(bound, low), high) for bound in bounds(m, inner)]
    m.require(any(new_bounds), "all is zero, of whatever sign, and a Clip leaves the sign of a zero alone")
    dtype = m.dtype(x)
    m.require(dtype is not None, "the type is unknown")
    if m.opset < FIRST_WITH_INPUTS:
        named = zip(("min", "max"), new_bounds, strict=True)
        return new.Clip(m[x], **{name: bound for name, bound in named if math.isfinite(bound)})
    exact = np.float64 if dtype in FLOATS else dtype
    return new.Clip(m[x], *(np.array(bound, exact) if math.isfinite(bound) else None for bound in new_bounds))
