"""A mean over the spatial axes as the pooling that has an integer kernel."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.norm.axes import SPATIAL, axes_of

x, rest = Value("x"), Rest("axes")
mean = op.ReduceMean(x, rest)


@rule(mean, numerics=Close(64))
def mean_pool(m: Match, new: Builder) -> Tensor:
    """The mean over all axes but batch and channels is a global average pool, flattened if they are dropped."""
    rank = m.rank(x) or 0
    m.require(rank > SPATIAL, "it has no spatial axes")
    m.require(axes_of(m, m[mean], rank) == tuple(range(SPATIAL, rank)), "it goes over other than the spatial axes")
    pooled = new.GlobalAveragePool(m[x])
    return pooled if m.attr(mean, "keepdims", 1) else new.Flatten(pooled)
