"""Expands before operators that broadcast by themselves."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.ir.types import Dim, Shape, Tensor

BINARY = "Add Sub Mul Div Pow And Or Xor Equal Greater Less GreaterOrEqual LessOrEqual Mod BitwiseAnd BitwiseOr"
x, shape, a, b = Value("x"), Rest("shape"), Value("a"), Value("b")
expand = op.Expand(x, shape)
binary = op.one_of(*BINARY.split())
two = binary(expand, a) | binary(a, expand)
three = op.Where(expand, a, b) | op.Where(a, expand, b) | op.Where(a, b, expand)


def broadcast(*shapes: Shape) -> Shape:
    """The shape to which tensors of these shapes broadcast, None for lengths about which nothing is certain."""
    together = list(zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1))
    return tuple(_length(dims) for dims in reversed(together))


def _length(dims: tuple[Dim, ...]) -> Dim:
    longer = list(dict.fromkeys(dim for dim in dims if dim != 1))
    return 1 if not longer else longer[0] if len(longer) == 1 else None


@rule(two | three, numerics=Exact(), opset=8)
def expand_operand(m: Match, new: Builder) -> Tensor:
    """Add(Expand(x), y) is Add(x, y) if that has the same shape; so for everything that broadcasts as NumPy does."""
    inputs = [m[x] if tensor is m.tensor(expand) else tensor for tensor in m.root.inputs]
    shapes = [m.shape(tensor) for tensor in inputs]
    known = [found for found in shapes if found is not None]
    m.require(len(known) == len(shapes), "a shape is unknown")
    result = broadcast(*known)
    m.require(None not in result and result == m.shape(m.root.outputs[0]), "the result would be smaller, or may be")
    attrs: dict[str, Any] = m.root.attrs
    made: Tensor = new.node(m.root.op, *inputs, **attrs)
    return made
