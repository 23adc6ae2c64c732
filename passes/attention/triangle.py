"""Masks that are computed: one number on and below the diagonal of a square, and one above it.

Exporters write what hides later keys as Trilu of a constant, or as a comparison of two counters. Both are read as
what they are: an element depends on nothing but whether its column comes after its row.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from graphopt.ir import values
from graphopt.ir.types import MATRIX, Node, Tensor
from graphopt.rewrite import Match

Halves = tuple[float, float]
"""The number where the column is the row or comes before it, and the number above the diagonal."""
DEEPEST = 12
BOOL = np.dtype(bool)
PASSING = ("Identity", "Cast", "Unsqueeze", "Squeeze", "Expand")
SHIFTS = {"Add": 1, "Sub": -1}
COUNTED = (*SHIFTS, "Identity", "Cast", "Unsqueeze", "Reshape", "Squeeze", "Transpose")
COMPARED: dict[str, Callable[[float, float], bool]] = {
    "Less": operator.lt,
    "LessOrEqual": operator.le,
    "Greater": operator.gt,
    "GreaterOrEqual": operator.ge,
}
COMPUTED: dict[str, Callable[[float, float], float]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "And": lambda a, b: float(bool(a) and bool(b)),
    "Or": lambda a, b: float(bool(a) or bool(b)),
    "Equal": lambda a, b: float(a == b),
}


@dataclass(eq=False)
class _Reader:
    m: Match
    nodes: dict[Node, None] = field(default_factory=dict)

    def halves(self, tensor: Tensor, depth: int = DEEPEST) -> Halves | None:
        """What the tensor is on both sides of the diagonal; None where it depends on more, or nobody can tell."""
        number = values.scalar(tensor)
        if number is not None:
            return number, number
        node = tensor.producer
        if node is None or node.domain or not depth:
            return None
        self.nodes[node] = None
        if node.op in COMPARED:
            return self._compared(node)
        found = [self.halves(one, depth - 1) for one in node.inputs[: _read(node)]]
        told = [one for one in found if one is not None]
        return self._made(node, tensor, told) if len(told) == len(found) else None

    def _made(self, node: Node, tensor: Tensor, given: list[Halves]) -> Halves | None:
        """What an operator makes of operands that are known on both sides."""
        made: Halves | None = None
        if node.op == "ConstantOfShape":
            held = node.attrs.get("value")
            made = (0.0, 0.0) if held is None else (float(held.values.reshape(-1)[0]),) * 2
        elif node.op == "Trilu":
            made = self._cut(node, given[0])
        elif node.op == "Not":
            made = float(not given[0][0]), float(not given[0][1])
        elif node.op == "Where":
            made = given[1 if given[0][0] else 2][0], given[1 if given[0][1] else 2][1]
        elif node.op in COMPUTED:
            made = COMPUTED[node.op](given[0][0], given[1][0]), COMPUTED[node.op](given[0][1], given[1][1])
        elif node.op in PASSING and self._keeps(node, tensor):
            whole = self.m.dtype(tensor) == BOOL
            made = (float(bool(given[0][0])), float(bool(given[0][1]))) if whole else given[0]
        return made

    def _cut(self, node: Node, given: Halves) -> Halves | None:
        """Trilu, where what it keeps ends at the diagonal."""
        at = values.given(node, 1)
        known = np.array(0) if at is None else self.m.known(at)
        diagonal = None if known is None or known.size != 1 else int(known.reshape(()))
        if node.attrs.get("upper", 1):
            return (0.0, given[1]) if diagonal == 1 else None
        return (given[0], 0.0) if diagonal == 0 else None

    def _keeps(self, node: Node, tensor: Tensor) -> bool:
        """Whether the last two dimensions of a tensor are those that it was made from, unless it is the same there."""
        given, made = self.m.shapes.dims(node.inputs[0]), self.m.shapes.dims(tensor)
        if node.op in ("Identity", "Cast"):
            return True
        return given is not None and made is not None and (len(given) < MATRIX or given[-2:] == made[-2:])

    def _compared(self, node: Node) -> Halves | None:
        """A comparison of counters, one of which goes along the columns and one along the rows."""
        sides = [self._counter(tensor) for tensor in node.inputs]
        told = [one for one in sides if one is not None]
        if len(told) != len(sides) or {axis for axis, _ in told} != {0, 1}:
            return None
        compare = COMPARED[node.op]
        at = [compare(*(number + distance * axis for axis, number in told)) for distance in (0, 1)]
        return (float(at[0]), float(at[1])) if at[0] != at[1] else None

    def _counter(self, tensor: Tensor, depth: int = DEEPEST) -> tuple[int, float] | None:
        """Along which axis it counts by one, 1 for columns and 0 for rows, and from which number on."""
        node = tensor.producer
        if node is None or node.domain or not depth:
            return None
        self.nodes[node] = None
        if node.op == "Range":
            start, step = (values.scalar(node.inputs[at]) for at in (0, 2))
            return (1, start) if step == 1 and start is not None else None
        before = self._counter(node.inputs[0], depth - 1) if node.op in COUNTED else None
        if before is None:
            return None
        if node.op in SHIFTS:
            number = values.scalar(node.inputs[1])
            return None if number is None else (before[0], before[1] + SHIFTS[node.op] * number)
        axis = self._only_axis(tensor)
        return None if axis is None else (axis, before[1])

    def _only_axis(self, tensor: Tensor) -> int | None:
        """1 if all dimensions have length 1 but the last, 0 if all but the one before; else None."""
        dims = self.m.shapes.dims(tensor) or ()
        long = [len(dims) - at for at, dim in enumerate(dims) if dim != 1]
        return {1: 1, 2: 0}.get(long[0]) if len(long) == 1 else None


def _read(node: Node) -> int:
    """How many operands of a node hold what its result is made of; others are shapes."""
    return {"ConstantOfShape": 0, "Where": 3, "Trilu": 1, **dict.fromkeys(PASSING, 1)}.get(node.op, len(node.inputs))


def triangle(m: Match, tensor: Tensor) -> tuple[Halves, tuple[Node, ...]] | None:
    """The numbers of a square on both sides of its diagonal, and the nodes that compute it; None if it is no such."""
    reader = _Reader(m)
    found = reader.halves(tensor)
    return None if found is None else (found, tuple(reader.nodes))
