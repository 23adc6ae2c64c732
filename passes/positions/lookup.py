"""Looking up the same row everywhere, as the token types of one sentence do, or the same rows for a whole batch."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.analysis.operators.elementwise import broadcast
from graphopt.ir.types import Tensor
from graphopt.ir.values import constant
from passes.positions.bounds import uniform

TABLE = 2
"""Dimensions of a table."""

x, table, indices = Value("x"), Value("table"), Value("indices")
lookup = op.Gather(table, indices, axis=lambda axis: not axis)
add = x + lookup
repeated = op.Gather(table, op.Expand(indices, Rest("shape")).shared(), axis=lambda axis: not axis).shared()
add_repeated = x + repeated


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


@rule(add_repeated, numerics=Exact(), opset=8)
def repeated_lookup(m: Match, new: Builder) -> Tensor:
    """The sum of x and rows that are looked up again for a whole batch is the sum of x and what is looked up once."""
    held, index = constant(m[table]), m.shapes.dims(m[indices])
    m.require(held is not None and len(held.shape) == TABLE and index is not None, "the table is no constant matrix")
    rows = (*(index or ()), *(() if held is None else held.shape[1:]))
    dims, wanted = m.shapes.dims(m[x]), m.shapes.dims(m.tensor(add_repeated))
    m.require(wanted is not None and broadcast(dims, rows) == wanted, "x alone may not have the shape of the sum")
    return new.Add(m[x], new.Gather(m[table], m[indices]))
