"""Constants on the right."""

from __future__ import annotations

from graphopt import Builder, Const, Exact, Match, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.ir.values import constant
from passes.canonical.operands import NUMPY_BROADCASTING

x, c = Value("x"), Const("c")
node = op.one_of("Add", "Mul")(c, x)


@rule(node, numerics=Exact(), opset=NUMPY_BROADCASTING)
def constant_right(m: Match, new: Builder) -> Tensor:
    """Add(c, x) is Add(x, c), and Mul(c, x) is Mul(x, c)."""
    m.require(
        m[node].inputs[0] is m.tensor(c) and constant(m[x]) is None, "the constant stands on the right", final=True
    )
    build = new.Add if m[node].op == "Add" else new.Mul
    return build(m[x], m.tensor(c))
