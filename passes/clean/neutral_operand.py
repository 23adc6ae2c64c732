"""Arithmetic with a neutral element."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Const, Exact, Match, Value, op, rule
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import Array, Tensor
from passes.clean.guards import same_shape, small, take

x, y = Value("x"), Const("y")
either = op.one_of("Add", "Mul", "And", "Or", "Xor", "BitwiseOr", "BitwiseXor")(x, y)
right = op.one_of("Sub", "Div", "Pow", "BitShift")(x, y)
ONES = ("Mul", "Div", "Pow", "And")


def neutral(operator: str, array: Array, *, floating: bool) -> bool:
    """Whether every element leaves the other operand as it is, to the last bit: -0.0 + 0.0 is 0.0, so 0.0 does not."""
    if operator in ONES:
        return bool((array == 1).all())
    if floating and operator == "Add":
        return bool((array == 0).all() and np.signbit(array).all())
    if floating and operator == "Sub":
        return bool((array == 0).all() and not np.signbit(array).any())
    return bool((array == 0).all())


@rule(either | right, numerics=Exact())
def neutral_operand(m: Match, _: Builder) -> Tensor:
    """An operand that changes no bit goes: 1 of Mul, Div, Pow and And, 0 of Or, Xor, Sub, and of Add if it is -0.0."""
    floating = m.dtype(m.root.outputs[0]) in FLOATS
    array = small(m, m.tensor(y))
    m.require(
        array is not None and neutral(m.root.op, array, floating=floating), "the operand is not neutral", final=True
    )
    m.require(same_shape(m, x, m.root.outputs[0]), "it broadcasts, or a shape is unknown")
    return take(m, x)
