"""Leading axes of length 1 before what is looked up in a constant."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.ir.values import constant
from passes.clean.guards import integers

LARGEST = 16 << 20
"""Bytes of a table that is stored with another shape."""

table, indices, axes = Value("table"), Value("indices"), Opt(Value("axes"))
lookup = op.Gather(table, indices)
unsqueezed = op.Unsqueeze(lookup, axes)


@rule(unsqueezed, numerics=Exact())
def unsqueezed_lookup(m: Match, new: Builder) -> Tensor:
    """Rows of a table with one more leading axis are rows of a table with this axis."""
    held = constant(m[table])
    m.require(held is not None and held.shape, "the table is not constant")
    m.require(held is not None and held.nbytes <= LARGEST, "the table is large")
    m.require(len(set(m[table].outputs)) == 1 and not m.is_output(m[table]), "the table is used elsewhere too")
    chosen, rank = integers(m, unsqueezed, "axes", 1), m.rank(lookup)
    m.require(chosen is not None and rank is not None, "the axes are unknown")
    added = len(chosen or ())
    wanted = sorted(axis % ((rank or 0) + added) for axis in chosen or ())
    m.require(wanted == list(range(added)), "axes are inserted behind others")
    array = m.held(m[table])
    along = m.attr(lookup, "axis", 0) % array.ndim + added
    return new.Gather(array.reshape((1,) * added + array.shape), m[indices], axis=along)
