"""LogSoftmax."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.rewrite.pattern import Node
from passes.fuse.guards import takes
from passes.fuse.norm.axes import one_axis
from passes.fuse.norm.pieces import largest, total

x = Value("x")
softmax = op.Softmax(x)


def shifted() -> Node:
    """The numbers, at most 0."""
    return x - largest(x)


stable = shifted() - op.Log(total(op.Exp(shifted()))) | x - (op.Log(total(op.Exp(shifted()))) + largest(x))
direct = x - op.ReduceLogSumExp(x, Opt(Value("axes"))) | x - op.Log(total(op.Exp(x)))


@rule(op.Log(softmax) | stable | direct, numerics=Close(16))
def log_softmax(m: Match, new: Builder) -> Tensor:
    """log(Softmax(x)), or x - log(sum(exp(x))), is LogSoftmax(x).

    Where Softmax is too small for its dtype, or exp(x) too large, the original is infinite and LogSoftmax is not: the
    contract holds wherever exp and Softmax are normal numbers.
    """
    takes(m, x, "LogSoftmax", double=True)
    if softmax in m:
        return new.LogSoftmax(m[x], axis=m.attr(softmax, "axis"))
    axis = one_axis(m, x)
    m.require((m.shape(x) or ())[axis] != 1, "over one element the result is nothing but rounding errors")
    return new.LogSoftmax(m[x], axis=axis)
