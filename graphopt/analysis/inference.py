"""From one operator call to the types and values of its outputs: our tables first, else onnx's own inference."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from graphopt.analysis import integers, movement, operators
from graphopt.analysis.call import NEEDS, READS, TYPES, VALUES, Call
from graphopt.analysis.fallback import infer_with_onnx
from graphopt.analysis.types import UNKNOWN, SymbolicArray, Type

__all__ = ["Result", "infer", "integers", "movement", "needed", "operators"]

MALFORMED = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError)
"""What a transfer function raises on a node that contradicts itself: then nothing is known of its outputs."""


class Result(NamedTuple):
    """Types and values of a call's outputs, one each."""

    types: tuple[Type, ...]
    values: tuple[SymbolicArray | None, ...]


def key_of(op: str, domain: str) -> str:
    """The name of an operator in the tables."""
    return f"{domain}.{op}" if domain else op


@lru_cache(maxsize=4096)
def needed(op: str, domain: str, count: int) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    """What a call with `count` inputs depends on besides types.

    These are the inputs whose values its type reads, those without whose values it has none to compute, and whether
    it computes values at all.
    """
    key = key_of(op, domain)
    every = tuple(range(count))
    reads = READS.get(key, ()) if key in TYPES else every
    needs = NEEDS.get(key)
    return tuple(i for i in reads if i < count), every if needs is None else needs, key in VALUES


def infer(call: Call) -> Result:
    """Types and values of the outputs; unknown where the tables, and onnx, know nothing. Never raises."""
    count = call.outputs
    try:
        types = _types(call)
    except MALFORMED:
        types = []
    types = [*types[:count], *[UNKNOWN] * (count - len(types))]
    try:
        values = _values(call)
    except MALFORMED:
        values = []
    values = [*values[:count], *[None] * (count - len(values))]
    return Result(tuple(map(_agreed, types, values)), tuple(values))


def _types(call: Call) -> list[Type]:
    transfer = TYPES.get(key_of(call.op, call.domain))
    found = transfer(call) if transfer is not None else None
    if found is None:
        return infer_with_onnx(call)
    return [found] if isinstance(found, Type) else list(found)


def _values(call: Call) -> list[SymbolicArray | None]:
    transfer = VALUES.get(key_of(call.op, call.domain))
    found = transfer(call) if transfer is not None else None
    if found is None:
        return []
    return [found] if isinstance(found, SymbolicArray) else list(found)


def _agreed(type_: Type, value: SymbolicArray | None) -> Type:
    """A value has a shape, which says as much as the type does."""
    return type_ if value is None or type_.dims is not None else Type(type_.dtype, value.shape)
