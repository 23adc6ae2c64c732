"""Constants that repeat themselves where arithmetic would repeat them anyway."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Computed, Const, Exact, Match, op, rule
from graphopt.analysis.operators.elementwise import broadcast
from graphopt.ir.types import Array, Tensor
from graphopt.ir.values import constant, identical

LARGEST = 4 << 20
"""Elements of a constant that is still looked at."""

x, c = Computed("x"), Const("c")
arithmetic = op.one_of("Add", "Sub", "Mul", "Div", "And", "Or")(x, c) | op.one_of("Sub", "Div")(c, x)


@rule(arithmetic, numerics=Exact(), opset=7)
def repeated_constant(m: Match, new: Builder) -> Tensor:
    """A constant that is the same along an axis of x is as good with one element there: arithmetic repeats it."""
    held, wanted = constant(m.tensor(c)), m.shapes.dims(m.root.outputs[0])
    m.require(held is not None and 1 < held.size <= LARGEST, "the constant is large, or has one element")
    narrow = _narrowed(m.array(m.tensor(c)))
    m.require(narrow.size < (0 if held is None else held.size), "the constant does not repeat itself")
    dims = m.shapes.dims(m[x])
    m.require(dims is not None and broadcast(dims, narrow.shape) == wanted, "x alone may not have the result's shape")
    operands = [m[x] if tensor is m[x] else narrow.astype(m.dtype(c)) for tensor in m.root.inputs]
    made: Tensor = new.node(m.root.op, *operands)
    return made


def _narrowed(values: Array) -> Array:
    """The array with one element along each axis along which all elements are the same, to the last bit."""
    for axis in range(values.ndim):
        first = values.take([0], axis)
        if values.shape[axis] > 1 and identical(values, np.broadcast_to(first, values.shape)):
            values = first
    return values
