"""Masks that are partly decided: a condition that always holds, spread over a matrix that broadcasts by itself."""

from __future__ import annotations

from graphopt import Builder, Close, Exact, Match, Value, op, rule
from graphopt.analysis.operators.elementwise import broadcast
from graphopt.ir.types import Tensor
from passes.positions.bounds import ALWAYS, bounds

given, always, a, b, scores = Value("condition"), Value("always"), Value("a"), Value("b"), Value("scores")
both = op.And(given, always)
chosen = op.Where(both.shared(), a, b)
added = scores + chosen.shared()
masked = op.Where(both.shared(), scores, b)
filled = op.Where(op.Not(both.shared()).shared(), a, scores)


@rule(both, numerics=Exact())
def decided_and(m: Match, _: Builder) -> Tensor:
    """And(c, true) is c, where the other condition certainly holds everywhere and does not broadcast c."""
    m.require(bounds(m, m[always]) == ALWAYS, "no condition is known to hold everywhere")
    m.require(_same(m, m[given], m.tensor(both)), "the condition broadcasts, or a shape is unknown")
    m.require(m.can_stand_for(m[given], m.tensor(both)), "a graph returns its result under this name")
    return m.tensor(given)


@rule(added | masked | filled, numerics=Close(0))
def decided_mask(m: Match, new: Builder) -> Tensor:
    """A mask And(c, true) is c, even if the condition that always holds spreads it: the scores do so anyway."""
    m.require(bounds(m, m[always]) == ALWAYS, "no condition is known to hold everywhere")
    small = [m.shapes.dims(m[part]) for part in (given, scores, a, b) if part in m]
    wanted = m.shapes.dims(m.root.outputs[0])
    m.require(wanted is not None and broadcast(*small) == wanted, "without it, the result may have another shape")
    if added in m:
        return new.Add(m[scores], new.Where(m[given], m[a], m[b]))
    if masked in m:
        return new.Where(m[given], m[scores], m[b])
    return new.Where(m[given], m[scores], m[a])


def _same(m: Match, one: Tensor, other: Tensor) -> bool:
    dims = m.shapes.dims(one)
    return dims is not None and None not in dims and dims == m.shapes.dims(other)
