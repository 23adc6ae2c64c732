"""Two Slices in a row."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.rewrite.pattern import Node
from passes.clean.guards import absent, integers

Bounds = dict[int, tuple[int, int, int]]
x, first, second = Value("x"), Rest("inner bounds"), Rest("outer bounds")
inner = op.Slice(x, first)
outer = op.Slice(inner, second)
FIRST_WITH_INPUTS = 10


def bounds(m: Match, call: Node, rank: int) -> Bounds:
    """Start, end and step by axis. Refuses unless all are known."""
    starts, ends, axes = (integers(m, call, name, at) for at, name in enumerate(("starts", "ends", "axes"), 1))
    steps = integers(m, call, "steps", 4)
    if starts is None or ends is None:
        m.refuse("a bound is unknown")
    m.require(axes is not None or absent(m, call, "axes", 3), "an axis is unknown")
    m.require(steps is not None or absent(m, call, "steps", 4), "a step is unknown")
    axes = list(range(len(starts))) if axes is None else [axis % rank for axis in axes]
    return dict(zip(axes, zip(starts, ends, steps or [1] * len(starts), strict=True), strict=True))


def compose(m: Match, one: tuple[int, int, int], two: tuple[int, int, int]) -> tuple[int, int, int]:
    """The Slice of one axis that equals `two` after `one`. Refuses where that takes the length of the axis."""
    m.require(one[2] == two[2] == 1 and min(*one[:2], *two[:2]) >= 0, "the bounds on one axis cannot be composed")
    return one[0] + two[0], min(one[1], one[0] + two[1]), 1


@rule(outer, numerics=Exact())
def slice_chain(m: Match, new: Builder) -> Tensor:
    """Slice(Slice(x)) is one Slice: on different axes always, on the same axis if forwards from the beginning."""
    rank = m.rank(x)
    if rank is None:
        m.refuse("the number of axes is unknown")
    merged, later = bounds(m, inner, rank), bounds(m, outer, rank)
    for axis, bound in later.items():
        merged[axis] = compose(m, merged[axis], bound) if axis in merged else bound
    starts, ends, steps = ([bound[at] for bound in merged.values()] for at in range(3))
    if m.opset < FIRST_WITH_INPUTS:
        return new.Slice(m[x], axes=list(merged), starts=starts, ends=ends)
    given = [np.array(one, np.int64) for one in (starts, ends, list(merged), steps)]
    return new.Slice(m[x], *given[: 4 if set(steps) != {1} else 3])
