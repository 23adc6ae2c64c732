"""A constant factor or summand far from the weights that it could be part of, and what lets it through to them."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, Value, rule
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import Tensor
from passes.algebra.upstream import SCALE, SHIFT, Climb, Kind

x, constant = Value("x"), Const("constant")
product, total = x * constant, x + constant


@rule(product, numerics=Close(64), opset=7)
def scale_to_weights(m: Match, new: Builder) -> Tensor:
    """A factor c of f(w x) makes it f((c w) x), where f only moves, selects, averages or, for positive c, rectifies."""
    return _moved(m, new, SCALE, m.tensor(product))


@rule(total, numerics=Close(64), opset=7)
def shift_to_weights(m: Match, new: Builder) -> Tensor:
    """A summand c of f(w x + b) makes it f(w x + (b + c)), where f only moves, selects or averages."""
    return _moved(m, new, SHIFT, m.tensor(total))


def _moved(m: Match, new: Builder, kind: Kind, result: Tensor) -> Tensor:
    """The matched result, with the constant in the weights far above."""
    shape, given = m.shape(x), m.shape(constant)
    m.require(shape is not None and given is not None, "a shape is not known")
    m.require(m.dtype(x) in FLOATS, "the numbers are not known to be floating")
    m.require(
        len(given or ()) <= len(shape or ()), f"the {kind.name} may have more dimensions than what it is applied to"
    )
    m.require(m.shape(result) == shape and None not in (shape or ()), f"the {kind.name} may make the result larger")
    climb = Climb(m, new, kind)
    numbers = m[constant]
    made = climb.moved(m[x], numbers.reshape((1,) * (len(shape or ()) - numbers.ndim) + numbers.shape))
    m.require(len(climb.claimed) > 1 or kind is SCALE, "the operator before it takes it in by itself")
    m.claim(*climb.claimed)
    return made
