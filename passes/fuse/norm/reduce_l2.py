"""ReduceSumSquare and ReduceL2."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.guards import takes
from passes.fuse.norm.axes import reduction
from passes.fuse.norm.pieces import root, square, total

x = Value("x")
squares = total(square(lambda: x))


@rule(squares, numerics=Close(16))
def reduce_sum_square(m: Match, new: Builder) -> Tensor:
    """sum(x^2) is ReduceSumSquare(x)."""
    takes(m, x, "ReduceSumSquare", double=True)
    return reduction(m, new, "ReduceSumSquare", x)


@rule(root(squares | op.ReduceSumSquare(x, Opt(Value("axes")))), numerics=Close(16))
def reduce_l2(m: Match, new: Builder) -> Tensor:
    """sqrt(sum(x^2)) is ReduceL2(x)."""
    takes(m, x, "ReduceL2", double=True)
    return reduction(m, new, "ReduceL2", x)
