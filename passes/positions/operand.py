"""Computed operands of arithmetic that are the same number everywhere."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Computed, Match, Value, op, rule
from graphopt.analysis.operators.elementwise import broadcast
from graphopt.ir.types import Tensor
from passes.positions.bounds import uniform

BINARY = "Add Sub Mul Div Min Max And Or Xor Equal Greater Less GreaterOrEqual LessOrEqual"
x, y = Value("x"), Computed("y")
binary = op.one_of(*BINARY.split())
first, second = binary(y, x), binary(x, y)


@rule(second | first, numerics=Close(0), opset=8)
def uniform_operand(m: Match, new: Builder) -> Tensor:
    """An operand that is computed although it is one number everywhere is this number: arithmetic repeats it."""
    m.require(m[x] is not m[y], "both operands are the same")
    number, dtype = uniform(m, m[y]), m.dtype(y)
    m.require(number is not None and dtype is not None, "the operand is not known to be one number everywhere")
    dims = m.shapes.dims(m[x])
    wanted = m.shapes.dims(m.root.outputs[0])
    m.require(wanted is not None and broadcast(dims) == wanted, "the operand may give the result its shape")
    operands = [np.array(number, dtype) if tensor is m[y] else tensor for tensor in m.root.inputs]
    made: Tensor = new.node(m.root.op, *operands, **m.root.attrs)
    return made
