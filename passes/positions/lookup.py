"""Looking up the same row everywhere, as the token types of one sentence do."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.analysis.operators.elementwise import broadcast
from graphopt.ir.types import Tensor
from graphopt.ir.values import constant
from passes.positions.bounds import uniform

TABLE = 2
"""Dimensions of a table."""

x, table, indices = Value("x"), Value("table"), Value("indices")
lookup = op.Gather(table, indices, axis=lambda axis: not axis)
add = x + lookup


@rule(add, numerics=Exact())
def constant_lookup(m: Match, new: Builder) -> Tensor:
    """The sum of x and rows of a constant table, all the same row, is the sum of x and this one row."""
    number = uniform(m, m[indices])
    m.require(number is not None, "the indices are not known to be all the same")
    held = constant(m[table])
    m.require(held is not None and len(held.shape) == TABLE, "the table is no constant matrix")
    row = int(number or 0)
    m.require(held is not None and -held.shape[0] <= row < held.shape[0], "the index lies outside the table")
    dims, wanted = m.shapes.dims(m[x]), m.shapes.dims(m.tensor(add))
    width = () if held is None else (held.shape[1],)
    m.require(wanted is not None and broadcast(dims, width) == wanted, "x alone may not have the shape of the sum")
    return new.Add(m[x], m.array(m[table])[row])
