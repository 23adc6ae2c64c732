"""Between which numbers all elements of a tensor certainly lie, found by looking at what computes it.

Of constants, ranges, shapes, and whatever is made of them: enough for the index arithmetic and the masks that exporters
write out. Integers are taken to be as large as they like: what overflows in 64 bits is no index.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from graphopt.ir import values
from graphopt.ir.dtypes import FLOATS, DType, epsilon
from graphopt.ir.types import Constant, Node, Tensor
from graphopt.rewrite import Match

Interval = tuple[float, float]
"""The least and the largest; infinite where there is no limit."""
Operands = Sequence[Interval | None]

DEEPEST, MOST = 16, 64
"""How many nodes up it looks, and at how many tensors, each once."""
SMALL = 4096
"""Constants with more elements are not looked at."""
MOVES = frozenset(
    {
        *("Identity", "Unsqueeze", "Squeeze", "Reshape", "Flatten", "Transpose", "Expand", "Slice", "Tile"),
        *("Gather", "GatherElements", "GatherND", "Split"),
    }
)
"""Operators whose results hold nothing but elements of their first operand."""
ROUNDING, EXACT = frozenset({"Add", "Sub", "Mul", "Log"}), 256
"""Operators that round, and up to where all floating dtypes have every whole number."""
WIDE, LARGEST = (np.dtype(np.float32), np.dtype(np.float64)), 1e30
"""Dtypes whose rounding is followed, up to where nothing overflows."""
ERRORS = 8
"""By how many units of its dtype's precision an operator may be wrong."""
NEVER, ALWAYS, PERHAPS = (0.0, 0.0), (1.0, 1.0), (0.0, 1.0)


def bounds(m: Match, tensor: Tensor) -> Interval | None:
    """The interval in which all elements of an integer, boolean or finite floating tensor lie; None if unknown.

    The match then relies on the nodes that it follows from.
    """
    seen: dict[Tensor, Interval | None] = {}
    found = _bounds(m, tensor, seen, DEEPEST)
    if found is not None:
        m.rely_on(t.producer for t, known in seen.items() if known is not None and t.producer is not None)
    return found


def bounds_given(m: Match, tensor: Tensor, known: Mapping[Tensor, Interval]) -> Interval | None:
    """The interval in which all elements of a tensor lie if those of others lie in known ones; None if unknown."""
    return _bounds(m, tensor, dict(known), DEEPEST)


def uniform(m: Match, tensor: Tensor) -> float | None:
    """The number that every element of the tensor certainly is; None if there is no such number, or it is unknown."""
    found = bounds(m, tensor)
    return found[0] if found is not None and found[0] == found[1] and math.isfinite(found[0]) else None


def _bounds(m: Match, tensor: Tensor, seen: dict[Tensor, Interval | None], depth: int) -> Interval | None:
    if tensor in seen or len(seen) > MOST:
        return seen.get(tensor)
    node, held = tensor.producer, values.constant(tensor)
    seen[tensor] = None
    if held is not None:
        seen[tensor] = _constant(m, tensor) if held.size <= SMALL else None
    elif node is not None and not node.domain and depth:
        seen[tensor] = _result(m, node, [_bounds(m, t, seen, depth - 1) for t in _deciding(node)])
    return seen[tensor]


def _deciding(node: Node) -> Sequence[Tensor]:
    """The inputs on whose values the bounds of the result depend."""
    return node.inputs[:1] if node.op in MOVES else node.inputs if node.op in {*RANGES, *ARITHMETIC} else ()


def _constant(m: Match, tensor: Tensor) -> Interval | None:
    array = m.array(tensor)
    if array.dtype.kind not in "fiub" or not array.size or not np.isfinite(array).all():
        return None
    return float(array.min()), float(array.max())


def _result(m: Match, node: Node, read: Operands) -> Interval | None:
    if node.op in MOVES:
        return read[0] if read else None
    if node.op in RANGES:
        return RANGES[node.op](m, node, read)
    known = [interval for interval in read if interval is not None]
    if node.op in ARITHMETIC and read and len(known) == len(read):
        return _exact(m, node, ARITHMETIC[node.op](*known))
    return PERHAPS if m.dtype(node.outputs[0]) == np.bool_ else None


def _exact(m: Match, node: Node, found: Interval) -> Interval | None:
    """The interval, with room for what floating arithmetic rounds; None where that is unknown."""
    dtype = m.dtype(node.outputs[0])
    if any(map(math.isnan, found)):
        return None
    return _rounded(found, dtype) if dtype in FLOATS and node.op in ROUNDING else found


def _rounded(found: Interval, dtype: DType) -> Interval | None:
    if all(abs(end) <= EXACT and float(end).is_integer() for end in found):
        return found
    if dtype not in WIDE or max(map(abs, found)) > LARGEST:
        return None
    room = ERRORS * epsilon(dtype)
    return found[0] - abs(found[0]) * room, found[1] + abs(found[1]) * room


def _shape(_m: Match, _node: Node, _read: Operands) -> Interval:
    return 0.0, math.inf


def _filled(_m: Match, node: Node, _read: Operands) -> Interval | None:
    value = node.attrs.get("value")
    held = value.values.reshape(-1) if isinstance(value, Constant) else np.zeros(1)
    return (float(held[0]), float(held[0])) if held.dtype.kind in "fiub" and np.isfinite(held[0]) else None


def _range(_m: Match, _node: Node, read: Operands) -> Interval | None:
    start, limit, step = read
    if start is None or step is None or step[0] <= 0:
        return None
    return start[0], math.inf if limit is None else max(limit[1], start[0])


def _cast(m: Match, node: Node, read: Operands) -> Interval | None:
    held, dtype = read[0], m.dtype(node.outputs[0])
    if dtype == np.bool_:
        inside = held is None or held[0] <= 0 <= held[1]
        return ALWAYS if not inside else NEVER if held == NEVER else PERHAPS
    if held is None or dtype is None or dtype.kind not in "fiu":
        return None
    if dtype in FLOATS:
        return _rounded(held, dtype)
    limits = np.iinfo(dtype)
    fits = limits.min <= held[0] and (held[1] <= limits.max or dtype == np.int64)
    return (math.trunc(held[0]), math.inf if math.isinf(held[1]) else math.trunc(held[1])) if fits else None


def _where(_m: Match, _node: Node, read: Operands) -> Interval | None:
    condition, a, b = read
    if condition in (ALWAYS, NEVER):
        return a if condition == ALWAYS else b
    return None if a is None or b is None else (min(a[0], b[0]), max(a[1], b[1]))


def _and(_m: Match, _node: Node, read: Operands) -> Interval:
    return NEVER if NEVER in read else ALWAYS if all(one == ALWAYS for one in read) else PERHAPS


def _or(_m: Match, _node: Node, read: Operands) -> Interval:
    return ALWAYS if ALWAYS in read else NEVER if all(one == NEVER for one in read) else PERHAPS


def _running_sum(_m: Match, _node: Node, read: Operands) -> Interval | None:
    terms = read[0]
    return None if terms is None or terms[0] < 0 else (0.0, math.inf)


RANGES: dict[str, Callable[[Match, Node, Operands], Interval | None]] = {
    "Shape": _shape,
    "Size": _shape,
    "ConstantOfShape": _filled,
    "Range": _range,
    "Cast": _cast,
    "CumSum": _running_sum,
    "Where": _where,
    "And": _and,
    "Or": _or,
}
"""Operators whose bounds do not follow from those of all operands alone."""


def _decided(*, always: bool, never: bool) -> Interval:
    return ALWAYS if always else NEVER if never else PERHAPS


def _product(a: Interval, b: Interval) -> Interval:
    corners = [0.0 if 0 in (p, q) else p * q for p in a for q in b]
    return min(corners), max(corners)


def _join(*parts: Interval) -> Interval:
    return min(low for low, _ in parts), max(high for _, high in parts)


ARITHMETIC: dict[str, Callable[..., Interval]] = {
    "Add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "Sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "Mul": _product,
    "Neg": lambda a: (-a[1], -a[0]),
    "Abs": lambda a: (max(0.0, a[0], -a[1]), max(abs(a[0]), abs(a[1]))),
    "Log": lambda a: (math.log(a[0]), math.log(a[1])) if a[0] > 0 else (math.nan, math.nan),
    "Min": lambda *parts: (min(low for low, _ in parts), min(high for _, high in parts)),
    "Max": lambda *parts: (max(low for low, _ in parts), max(high for _, high in parts)),
    "Concat": _join,
    "Not": lambda a: (1 - a[1], 1 - a[0]),
    "Greater": lambda a, b: _decided(always=a[0] > b[1], never=a[1] <= b[0]),
    "GreaterOrEqual": lambda a, b: _decided(always=a[0] >= b[1], never=a[1] < b[0]),
    "Less": lambda a, b: _decided(always=a[1] < b[0], never=a[0] >= b[1]),
    "LessOrEqual": lambda a, b: _decided(always=a[1] <= b[0], never=a[0] > b[1]),
    "Equal": lambda a, b: _decided(always=a[0] == a[1] == b[0] == b[1], never=a[1] < b[0] or b[1] < a[0]),
}
"""Operators whose bounds follow from those of all operands."""
