"""Which values a tensor may take, told by the operators that read it.

`OPERANDS` says it per operator and input position; `domain_of` follows a tensor through operators that keep its
values (a Cast, a Reshape, a Concat) or their sign (adding a constant above zero) to the operators that care.
"""

from __future__ import annotations

import math
from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING

from graphopt.ir.types import Graph
from graphopt.ir.values import constant
from graphopt.numerics.feeds import Between, Choice, Domain, Fixed, Index, NonZero, Positive, Real
from graphopt.numerics.operands import OPERANDS, Use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphopt.ir.types import Node, Tensor
    from graphopt.numerics.operands import Known

REACH = 64
"""Tensors that are looked at, from one that is to be fed."""


class _Kept(IntEnum):
    """What operators on the way from the tensor have left of its values."""

    SIGN = 0
    VALUES = 1
    ORDER = 2


_KEEPS_ORDER = {"Identity", "Cast", "CastLike", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Dropout"}
_KEEPS_VALUES = {
    *("Transpose", "Slice", "Gather", "GatherElements", "GatherND", "Split", "Expand", "Tile", "Compress"),
    *("DepthToSpace", "SpaceToDepth", "ReverseSequence", "SplitToSequence", "Unique", "TopK", "Scatter"),
    *("ScatterElements", "ScatterND", "OptionalGetElement"),
}
"""Operators whose first output consists of elements of their first input."""
_MIX_VALUES = {"Concat", "Max", "Min", "SequenceConstruct"}
_KEEPS_SIGN = {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "GlobalAveragePool", "Sqrt"}

_STRICTNESS = (Real, NonZero, Positive, Between, Index, Choice, Fixed)
_NEEDS = {Fixed: _Kept.ORDER, Choice: _Kept.VALUES, Index: _Kept.VALUES, Between: _Kept.VALUES}


def domain_of(tensor: Tensor, shapes: Known) -> Domain:
    """The values that every reader of `tensor` accepts, as far as `OPERANDS` tells.

    shapes: what is known at the binding for which feeds are drawn. Known values are the domain.
    """
    known = shapes.known(tensor)
    if known is not None:
        return Fixed(tuple(known.reshape(-1).tolist()))
    found = [domain for domain in _demands(tensor, shapes) if domain is not None]
    return _strictest(found)


def _strictest(found: list[Domain]) -> Domain:
    """The domain of the kind that restricts most; of several indices, the smallest."""
    indices = [domain for domain in found if isinstance(domain, Index)]
    if indices:
        smallest = Index(min(i.upper for i in indices), signed=all(i.signed for i in indices))
        found = [domain for domain in found if not isinstance(domain, Index)] + [smallest]
    return max(found, key=lambda domain: _STRICTNESS.index(type(domain)), default=Real())


def _demands(tensor: Tensor, shapes: Known) -> Iterator[Domain | None]:
    """What the operators that `tensor` reaches ask of it, nearest first."""
    queue = deque([(tensor, _Kept.ORDER)])
    seen = {tensor}
    while queue and len(seen) <= REACH:
        current, kept = queue.popleft()
        for node in dict.fromkeys(current.outputs):
            for position in [i for i, operand in enumerate(node.inputs) if operand is current]:
                rule = OPERANDS.get((node.domain, node.op), {}).get(position)
                domain = rule(Use(node, current, shapes)) if rule else None
                if domain is not None and kept >= _NEEDS.get(type(domain), _Kept.SIGN):
                    yield domain
                for reached, left in _onward(node, position):
                    if reached not in seen:
                        seen.add(reached)
                        queue.append((reached, min(kept, left)))


def _onward(node: Node, position: int) -> Iterator[tuple[Tensor, _Kept]]:
    """Tensors that hold values of input `position`, and how much of them."""
    if node.domain:
        return
    body = node.attrs.get("body")
    if node.op == "Loop" and isinstance(body, Graph) and position < len(body.inputs):
        yield body.inputs[position], _Kept.ORDER
    elif node.op == "Scan" and isinstance(body, Graph) and position < len(body.inputs):
        yield body.inputs[position], _Kept.VALUES
    elif node.op in _MIX_VALUES or (node.op == "Where" and position):
        yield node.outputs[0], _Kept.VALUES
    elif position == 0 and node.op in _KEEPS_ORDER:
        yield node.outputs[0], _Kept.ORDER
    elif position == 0 and node.op in _KEEPS_VALUES:
        yield from ((output, _Kept.VALUES) for output in node.outputs)
    elif (position == 0 and node.op in _KEEPS_SIGN) or _adds_positive(node, position):
        yield node.outputs[0], _Kept.SIGN


def _adds_positive(node: Node, position: int) -> bool:
    """Whether `node` adds a number that is not negative, or scales by one that is positive."""
    if node.op not in ("Add", "Mul", "Div") or (node.op == "Div" and position):
        return False
    other = constant(node.inputs[1 - position])
    if other is None or other.size != 1 or other.dtype.kind not in "fiu":
        return False
    value = float(other.values.reshape(())[()])
    return math.isfinite(value) and (value > 0 or (value == 0 and node.op == "Add"))
