"""One dimension of a tensor, as a vector."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Const, Exact, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor

WHOLE = (None, 0)
LIMITS = 15
"""The first opset in which Shape takes the first and last dimension that are wanted."""

x, position, axes = Value("x"), Const("position"), Opt(Value("axes"))
shape = op.Shape(x, start=lambda start: start in WHOLE, end=None).shared()
number = op.Gather(shape, position, axis=lambda axis: not axis)
vector = op.Unsqueeze(number, axes)
gathered = op.Gather(shape, position, axis=lambda axis: not axis)


@rule(vector | gathered, numerics=Exact(), opset=LIMITS)
def one_dimension(m: Match, new: Builder) -> Tensor:
    """One element of Shape as a vector is Shape, from this element to the next."""
    rank = m.rank(x)
    m.require(rank is not None, f"the number of dimensions of {m.tensor(x).name} is unknown")
    wanted = 0 if vector in m else 1
    m.require(m[position].ndim == wanted and m[position].size == 1, "it is not one dimension, as a vector")
    m.require(m.rank(m.root.outputs[0]) == 1, "the result is no vector")
    axis = int(m[position].reshape(())) % (rank or 1)
    return new.Shape(m[x], start=axis, end=axis + 1)


def as_vector(m: Match, new: Builder, tensor: Tensor) -> Tensor:
    """A number as a vector: by Shape if it is one dimension of something, whatever else reads it; else by Unsqueeze.

    From opset 13 on.
    """
    gather = tensor.producer
    whole = gather.inputs[0].producer if gather is not None and gather.op == "Gather" and not gather.domain else None
    found = None if gather is None or whole is None else m.known(gather.inputs[1])
    if gather is not None and whole is not None and found is not None and found.size == 1:
        rank = m.rank(whole.inputs[0]) if whole.op == "Shape" and not whole.domain else None
        if rank is not None and m.opset >= LIMITS and whole.attrs.keys() <= {"start"} and not whole.attrs.get("start"):
            m.take(gather, whole)
            axis = int(found.reshape(())) % rank
            made: Tensor = new.Shape(whole.inputs[0], start=axis, end=axis + 1)
            return made
    return new.Unsqueeze(tensor, np.array([0]))
