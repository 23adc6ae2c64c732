"""A constant factor far from the weights that it could be part of, with operators between that let factors through."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, Value, rule
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import Tensor
from passes.algebra.upstream import Climb

x, factor = Value("x"), Const("factor")
product = x * factor


@rule(product, numerics=Close(64), opset=7)
def scale_to_weights(m: Match, new: Builder) -> Tensor:
    """A factor c of f(w x) makes it f((c w) x), where f only moves, selects, averages or, for positive c, rectifies."""
    shape, given = m.shape(x), m.shape(factor)
    m.require(shape is not None and given is not None, "a shape is not known")
    m.require(m.dtype(x) in FLOATS, "the numbers are not known to be floating")
    m.require(len(given or ()) <= len(shape or ()), "the factor may have more dimensions than what it multiplies")
    m.require(m.shape(product) == shape and None not in (shape or ()), "the factor may make the result larger")
    numbers = m[factor]
    climb = Climb(m, new)
    result = climb.scaled(m[x], numbers.reshape((1,) * (len(shape or ()) - numbers.ndim) + numbers.shape))
    m.require(climb.claimed, "there is nothing between the factor and the weights")
    m.claim(*climb.claimed)
    return result
