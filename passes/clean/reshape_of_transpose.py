"""A Transpose that leaves the order of elements as it is, before a Reshape."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import integers

x, target = Value("x"), Value("target")
transpose = op.Transpose(x)
reshape = op.Reshape(transpose, target)


@rule(reshape, numerics=Exact(), opset=5)
def reshape_of_transpose(m: Match, new: Builder) -> Tensor:
    """A Transpose that only moves axes of length 1 regroups nothing: the Reshape after it can do without."""
    shape = m.shape(x)
    m.require(shape is not None, "the number of axes is unknown")
    perm = m.attr(transpose, "perm") or list(range(len(shape or ())))[::-1]
    moved = [axis for axis in perm if (shape or ())[axis] != 1]
    m.require(moved == sorted(moved), "it moves axes longer than 1")
    lengths = integers(m, reshape, "shape", 1)
    m.require(lengths is not None and 0 not in lengths, "the target copies lengths, or is not known")
    return new.Reshape(m[x], m[target], allowzero=m.attr(reshape, "allowzero"))
