"""Questions that many clean-up rules ask of a match."""

from __future__ import annotations

from graphopt.ir import values
from graphopt.ir.types import Array, Tensor
from graphopt.rewrite import Match, Pattern
from graphopt.rewrite.pattern import Node

SMALL = 4096
"""Constants with more elements are weights, whose values these rules do not look at."""
FOREVER = 2**31 - 1
"""Ends of a Slice from here on mean "to the end", whatever the dimension."""


def take(m: Match, part: Pattern) -> Tensor:
    """The tensor of `part`, for use in place of the root's first output. Refuses where a graph must return both."""
    tensor = m.tensor(part)
    m.require(m.can_stand_for(tensor, m.root.outputs[0]), "a graph returns its result under this name")
    return tensor


def same_shape(m: Match, a: Pattern | Tensor, b: Pattern | Tensor) -> bool:
    """Whether two tensors certainly have the same shape."""
    shape = m.shape(a)
    return shape is not None and None not in shape and shape == m.shape(b)


def integers(m: Match, call: Node, name: str, position: int) -> list[int] | None:
    """An argument that is an attribute in some opsets and an input in others; None if absent or unknown."""
    value = m.attr(call, name)
    if value is not None:
        return [int(one) for one in value] if isinstance(value, list) else None
    if absent(m, call, name, position):
        return None
    known = m.known(m[call].inputs[position])
    return None if known is None else [int(one) for one in known.reshape(-1)]


def absent(m: Match, call: Node, name: str, position: int) -> bool:
    """Whether a call has neither the attribute `name` nor an input at `position`."""
    inputs = m[call].inputs
    return name not in m[call].attrs and (len(inputs) <= position or not inputs[position].name)


def small(m: Match, tensor: Tensor) -> Array | None:
    """The values of a small constant (float64 if floating), recorded as read; None for any other tensor."""
    held = values.constant(tensor)
    return m.array(tensor) if held is not None and held.size <= SMALL else None


def all_equal(m: Match, tensor: Tensor, number: float) -> bool:
    """Whether a tensor is a small constant, each element of which is `number`; 0.0 and -0.0 are equal here."""
    array = small(m, tensor)
    return array is not None and array.dtype.kind in "fiub" and bool((array == number).all())
