"""Two of Squeeze and Unsqueeze in a row."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.rewrite.pattern import Node
from passes.clean.guards import integers, take

x, first, second = Value("x"), Rest("inner axes"), Rest("outer axes")
either = op.one_of("Squeeze", "Unsqueeze")
inner = either(x, first).shared()
outer = either(inner, second)
NEW = -1
FIRST_WITH_INPUT = 13


def applied(m: Match, call: Node, axes: list[int]) -> list[int]:
    """The axes after `call`, each by the number it has in x, or NEW."""
    given = integers(m, call, "axes", 1)
    if given is None:
        m.refuse("its axes are unknown")
    if m[call].op == "Squeeze":
        m.require(given, "it takes all axes of length 1 away")
        gone = {axis % len(axes) for axis in given}
        return [axis for at, axis in enumerate(axes) if at not in gone]
    places, rest = {axis % (len(axes) + len(given)) for axis in given}, iter(axes)
    return [NEW if at in places else next(rest) for at in range(len(axes) + len(given))]


@rule(outer, numerics=Exact())
def squeeze_chain(m: Match, new: Builder) -> Tensor:
    """Squeeze and Unsqueeze of the same axes cancel; two Squeezes, or two Unsqueezes, are one."""
    rank = m.rank(x)
    if rank is None:
        m.refuse("the number of axes is unknown")
    axes = applied(m, outer, applied(m, inner, list(range(rank))))
    if axes == [axis if axis in axes else NEW for axis in range(rank)]:
        return take(m, x)
    m.require(m[outer].op == m[inner].op, "they do not cancel")
    m.require(len(m.tensor(inner).outputs) == 1 and not m.is_output(inner), "the first has other readers")
    if m[outer].op == "Squeeze":
        changed = [axis for axis in range(rank) if axis not in axes]
    else:
        changed = [at for at, axis in enumerate(axes) if axis == NEW]
    build = new.Squeeze if m[outer].op == "Squeeze" else new.Unsqueeze
    return build(m[x], axes=changed) if m.opset < FIRST_WITH_INPUT else build(m[x], np.array(changed, np.int64))
