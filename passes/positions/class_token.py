"""A constant row before each sequence, as vision transformers have it, and the positions that are added."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Const, Match, Value, op, rule
from graphopt.ir.types import Tensor

SEQUENCE, RANK = 1, 3
"""The axis of the sequence in (batch, sequence, hidden)."""

token, x, positions = Const("token"), Value("x"), Const("positions")
expanded = op.Expand(token, Value("shape"))
joined = op.Concat(expanded | token, x, axis=lambda axis: axis in {SEQUENCE, SEQUENCE - RANK})
added = joined + positions


@rule(added, numerics=Close(2), opset=11)
def class_token(m: Match, new: Builder) -> Tensor:
    """A constant row before each sequence, plus positions, is a row of zeros by Pad, plus positions with this row."""
    dims, rows = m.shapes.dims(m[x]), m.shapes.dims(m.tensor(joined))
    if dims is None or rows is None or len(dims) != RANK:
        m.refuse("the shapes are unknown, or not those of batches of sequences")
    hidden, length = dims[2], rows[SEQUENCE]
    row, table = m[token], m[positions]
    alike = row.reshape(-1, row.shape[-1]) if row.ndim else row.reshape(1, 1)
    single = alike.shape[-1] == hidden and (alike == alike[:1]).all()
    before = (m.shapes.dims(m[joined].inputs[0]) or (None, None))[SEQUENCE]
    m.require(single and before == 1, "the token is no single row")
    fits = table.shape[-2:] == (length, hidden) and table.size == table.shape[-2] * table.shape[-1]
    m.require(fits, "the positions are not one row for each element of the sequence")
    moved = table.reshape(1, *table.shape[-2:]).copy()
    moved[:, 0] += alike[0]
    zeros = np.array([0, 1, 0, 0, 0, 0], np.int64)
    return new.Add(new.Pad(m[x], zeros), moved)
