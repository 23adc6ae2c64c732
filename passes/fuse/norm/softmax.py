"""Softmax."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.rewrite.pattern import Either
from passes.fuse.guards import takes
from passes.fuse.norm.axes import one_axis
from passes.fuse.norm.pieces import Make, largest, total

x = Value("x")


def share(powers: Make) -> Either:
    """The share of each power in the sum."""
    return powers() / total(powers()) | powers() * op.Reciprocal(total(powers()))


@rule(share(lambda: op.Exp(x - largest(x))) | share(lambda: op.Exp(x)), numerics=Close(16))
def softmax(m: Match, new: Builder) -> Tensor:
    """exp(x) / sum(exp(x)), with or without the maximum taken off x, is Softmax(x).

    Without, exp(x) and its sum overflow, or vanish, where Softmax does not: the contract holds where they do neither.
    """
    takes(m, x, "Softmax", double=True)
    return new.Softmax(m[x], axis=one_axis(m, x))
