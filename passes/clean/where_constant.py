"""Where with a condition that is the same everywhere."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import same_shape, small, take

condition, a, b = Value("condition"), Value("a"), Value("b")
node = op.Where(condition, a, b)


@rule(node, numerics=Close(0))
def where_constant(m: Match, _: Builder) -> Tensor:
    """Where(true, a, b) is a, Where(false, a, b) is b, and Where(c, a, a) is a; runtimes make 0.0 of -0.0."""
    chosen = a
    if m[a] is not m[b]:
        array = small(m, m[condition])
        m.require(array is not None and array.size and array.all() == array.any(), "the condition varies")
        chosen = a if array is not None and array.all() else b
    m.require(same_shape(m, chosen, node), "it broadcasts, or a shape is unknown")
    return take(m, chosen)
