"""One dimension of a tensor, as a vector."""

from __future__ import annotations

from graphopt import Builder, Const, Exact, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor

WHOLE = (None, 0)

x, position, axes = Value("x"), Const("position"), Opt(Value("axes"))
shape = op.Shape(x, start=lambda start: start in WHOLE, end=None).shared()
number = op.Gather(shape, position, axis=lambda axis: not axis)
vector = op.Unsqueeze(number, axes)
gathered = op.Gather(shape, position, axis=lambda axis: not axis)


@rule(vector | gathered, numerics=Exact(), opset=15)
def one_dimension(m: Match, new: Builder) -> Tensor:
    """One element of Shape as a vector is Shape, from this element to the next."""
    rank = m.rank(x)
    m.require(rank is not None, f"the number of dimensions of {m.tensor(x).name} is unknown")
    wanted = 0 if vector in m else 1
    m.require(m[position].ndim == wanted and m[position].size == 1, "it is not one dimension, as a vector")
    m.require(m.rank(m.root.outputs[0]) == 1, "the result is no vector")
    axis = int(m[position].reshape(())) % (rank or 1)
    return new.Shape(m[x], start=axis, end=axis + 1)
