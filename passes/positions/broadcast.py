"""Leading axes of length 1 that arithmetic with positions adds by itself."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Opt, Value, op, rule
from graphopt.ir.dtypes import INTEGERS
from graphopt.ir.types import Tensor
from passes.clean.guards import integers

x, y, axes = Value("x"), Value("y"), Opt(Value("axes"))
binary = op.one_of("Add", "Sub", "Mul", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal")
leading = op.Unsqueeze(y, axes).shared()
first, second = binary(leading, x), binary(x, leading)


@rule(second | first, numerics=Exact(), opset=7)
def leading_axes(m: Match, new: Builder) -> Tensor:
    """Arithmetic gives an operand leading axes where the other one has them: it needs no Unsqueeze."""
    m.require(m.dtype(y) in INTEGERS, "the operands are no whole numbers, such as positions")
    m.require(m[x] is not m.tensor(leading), "both operands are the same")
    chosen, rank, whole = integers(m, leading, "axes", 1), m.rank(y), m.rank(x)
    m.require(chosen is not None and rank is not None and whole is not None, "the axes are unknown")
    added = len(chosen or ())
    wanted = sorted(axis % ((rank or 0) + added) for axis in chosen or ())
    m.require(wanted == list(range(added)), "axes are inserted behind others")
    m.require((whole or 0) >= (rank or 0) + added, "the result would have fewer dimensions")
    operands = [m[y] if tensor is m.tensor(leading) else tensor for tensor in m.root.inputs]
    made: Tensor = new.node(m.root.op, *operands, **m.root.attrs)
    return made
