"""Embeddings of positions: rows of a table in their order, and what is added to all of them."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Const, Exact, Match, Opt, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.ir.values import constant
from passes.positions.dimension import as_vector

LARGEST = 16 << 20
"""Bytes of a table that is rewritten."""
TABLE = 2
"""Dimensions of a table of embeddings."""

x, table, row, ids, numbers = Value("x"), Value("table"), Const("row"), Value("ids"), Const("numbers")
arguments = Rest("start, end, axis and step")
window = op.Slice(numbers, arguments)
ordered = op.Gather(table, window, axis=lambda axis: not axis)
lookup = op.Gather(table, ids, axis=lambda axis: not axis)
start, end, step, axes = Const("start"), Value("end"), Const("step"), Opt(Value("axes"))
counter = op.Range(start, end, step).shared()
row_of_numbers = op.Unsqueeze(counter, axes).shared()
counted = op.Gather(table, row_of_numbers, axis=lambda axis: not axis)


@rule(ordered, numerics=Exact(), opset=10)
def sliced_table(m: Match, new: Builder) -> Tensor:
    """Rows of a table with the numbers from one to another are a Slice of the table."""
    cut(m)
    m.require(window in m and m[numbers].ndim == TABLE and m[numbers].shape[0] == 1, "the numbers are not a single row")
    count = m[numbers].shape[1]
    held = m.array(m[table])
    counted = count <= held.shape[0] and np.array_equal(m[numbers], np.arange(count)[None])
    m.require(counted, "the numbers are not those of rows, from 0 by 1")
    axes = None if len(m[arguments]) <= TABLE else m.known(m[arguments][TABLE])
    along = axes is not None and axes.tolist() in ([1], [-1])
    m.require(along, "the numbers are not cut along their row alone")
    bounds = [np.array([1]) if i == TABLE else tensor for i, tensor in enumerate(m[arguments])]
    return new.Slice(held[None, :count], *bounds)


@rule(x + counted, numerics=Exact(), opset=13)
def counted_table(m: Match, new: Builder) -> Tensor:
    """Rows of a table with the numbers from 0 to a length, added to something of this length, are a Slice of it."""
    cut(m)
    m.require(m[start] == 0 and m[step] == 1, "the numbers do not go from 0 by 1")
    numbers, added = m.shapes.dims(m.tensor(row_of_numbers)), m.shapes.dims(m[x])
    m.require(numbers is not None and len(numbers) == TABLE and numbers[0] == 1, "the numbers are not a single row")
    length = None if numbers is None else numbers[1]
    m.require(added is not None and len(added) == TABLE + 1, "what they are added to has not three dimensions")
    same = length is not None and added is not None and added[1] == length and m.shape(m.root.outputs[0]) == m.shape(x)
    m.require(same, "what they are added to is not known to be as long")
    held = m.held(m[table])
    m.require(len(held) > 1, "the table has a single row, which is repeated")
    return new.Add(m[x], new.Slice(held[None], np.array([0]), as_vector(m, new, m[end]), np.array([1])))


@rule((x + row) + lookup | (x + lookup) + row | lookup + row, numerics=Close(2), opset=7)
def row_in_table(m: Match, new: Builder) -> Tensor:
    """A row that is added to whatever is looked up in a table is added to the table."""
    cut(m)
    width = (m.shape(table) or (None,))[-1]
    given = m.shape(row) or ()
    m.require(given and given[-1] == width == m[row].size, "what is added is not one row")
    m.require(len(given) <= (m.rank(lookup) or 0), "the row may have more dimensions than what is looked up")
    found = new.Gather(m.array(m[table]) + m[row].reshape(-1), m[ids])
    return found if x not in m else new.Add(m[x], found)


def cut(m: Match) -> None:
    """Require that the table is a constant that nothing else reads, and small enough to rewrite. Raises Refused."""
    held = constant(m[table])
    m.require(held is not None and len(held.shape) == TABLE, "the table is no constant matrix")
    m.require(held is not None and held.nbytes <= LARGEST, "the table is large")
    m.require(len(set(m[table].outputs)) == 1 and not m.is_output(m[table]), "the table is used elsewhere too")
