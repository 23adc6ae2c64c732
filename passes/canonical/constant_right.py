"""Constants on the right."""

from __future__ import annotations

from graphopt import Builder, Computed, Const, Exact, Match, op, rule
from graphopt.ir.types import Tensor
from passes.canonical.operands import NUMPY_BROADCASTING

x, c = Computed("x"), Const("c")
node = op.one_of("Add", "Mul")(c, x).in_order()


@rule(node, numerics=Exact(), opset=NUMPY_BROADCASTING)
def constant_right(m: Match, new: Builder) -> Tensor:
    """Add(c, x) is Add(x, c), and Mul(c, x) is Mul(x, c)."""
    build = new.Add if m[node].op == "Add" else new.Mul
    return build(m[x], m.tensor(c))
