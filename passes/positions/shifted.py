"""Lookups with ids that are converted, or that start at another number than 0."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Const, Exact, Match, op, rule
from graphopt.ir.types import Tensor
from passes.positions.bounds import bounds
from passes.positions.table import cut, ids, table

INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)

first = Const("first")
shifted = op.Gather(table, ids + first, axis=lambda axis: not axis)
cast = op.Cast(ids).shared()
converted = op.Gather(table, cast)


@rule(shifted, numerics=Exact(), opset=7)
def shifted_lookup(m: Match, new: Builder) -> Tensor:
    """Rows ids + 2 of a constant table, the ids at least 0, are rows ids of the table without its first two."""
    cut(m)
    m.require(m[first].size == 1, "the ids are moved by more than one number")
    row = int(m[first].reshape(()))
    m.require(0 < row < len(m.array(m[table])), "the table has no such row")
    dims = m.shapes.dims(m[ids])
    m.require(dims is not None and dims == m.shapes.dims(m[shifted].inputs[1]), "the ids may get more dimensions")
    least = bounds(m, m[ids])
    m.require(least is not None and least[0] >= 0, "the ids are not known to be at least 0")
    return new.Gather(m.array(m[table])[row:], m[ids])


@rule(converted, numerics=Exact())
def converted_lookup(m: Match, new: Builder) -> Tensor:
    """A lookup takes int32 ids as they are: no Cast to int64."""
    m.require(m.dtype(ids) == INT32 and m.dtype(cast) == INT64, "the ids are not cast from int32 to int64")
    return new.Gather(m[table], m[ids], **m[converted].attrs)
