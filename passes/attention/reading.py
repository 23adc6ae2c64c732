"""Reading a tensor backwards: through operators that only move elements, and through factors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graphopt.ir import values
from passes.attention.axes import Axis, Dimension, View, regroup

if TYPE_CHECKING:
    from graphopt.analysis.symbolic import Scalar
    from graphopt.ir.types import Node, Tensor
    from graphopt.rewrite import Match

REGROUPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")
MOST_STEPS = 16


@dataclass(frozen=True, eq=False)
class Reading:
    """What a tensor was made from. factor: what the elements were multiplied by on the way; nodes: the way."""

    view: View
    factor: float = 1.0
    nodes: tuple[Node, ...] = ()


def sizes(m: Match, tensor: Tensor) -> tuple[Scalar, ...] | None:
    """The dimensions of a tensor for arithmetic; None if one is unknown."""
    dims = m.shapes.dims(tensor)
    known = tuple(dim for dim in dims or () if dim is not None)
    return known if dims is not None and len(known) == len(dims) else None


def seen(m: Match, tensor: Tensor, dims: tuple[Dimension, ...]) -> list[Reading]:
    """The tensor and what it was made from, the nearest first."""
    found = [Reading(View(tensor, dims))]
    while len(found) < MOST_STEPS and (further := back(m, found[-1])) is not None:
        found.append(further)
    return found


def back(m: Match, reading: Reading) -> Reading | None:
    """One step further back; None where elements are computed, or the sizes do not tell which go where."""
    node = reading.view.tensor.producer
    if node is None or node.domain:
        return None
    if node.op in ("Mul", "Div"):
        return _factor(m, reading, node)
    step = _STEPS.get(node.op)
    dims = step(m, reading.view, node) if step else None
    if dims is None:
        return None
    return replace(reading, view=View(node.inputs[0], dims), nodes=(*reading.nodes, node))


def _factor(m: Match, reading: Reading, node: Node) -> Reading | None:
    """Through a Mul or Div by one number."""
    for position in (1, 0) if node.op == "Mul" else (1,):
        held, other = values.constant(node.inputs[position]), node.inputs[1 - position]
        if held is not None and held.size == 1 and m.rank(other) == len(reading.view.dims):
            number = float(m.array(node.inputs[position]).reshape(()))
            if not number:
                return None
            factor = reading.factor * (number if node.op == "Mul" else 1 / number)
            return Reading(View(other, reading.view.dims), factor, (*reading.nodes, node))
    return None


Dims = tuple[Dimension, ...]


def _transpose(_: Match, view: View, node: Node) -> Dims | None:
    perm = node.attrs.get("perm") or list(range(len(view.dims)))[::-1]
    order = sorted(range(len(perm)), key=lambda at: perm[at])
    return tuple(view.dims[at] for at in order)


def _regroup(m: Match, view: View, node: Node) -> Dims | None:
    old, new = sizes(m, view.tensor), sizes(m, node.inputs[0])
    return None if old is None or new is None else regroup(view.dims, old, new)


def _expand(m: Match, view: View, node: Node) -> Dims | None:
    """Repeated dimensions have length 1 before: their axes are in none."""
    old, new = sizes(m, view.tensor), sizes(m, node.inputs[0])
    if old is None or new is None or len(old) < len(new):
        return None
    kept = zip(view.dims[len(old) - len(new) :], new, strict=True)
    return tuple(() if size == 1 else dim for dim, size in kept)


def _gather(m: Match, view: View, node: Node) -> Dims | None:
    """One index of an axis."""
    size, at = sizes(m, node.inputs[0]), m.known(node.inputs[1])
    axis = node.attrs.get("axis", 0)
    if size is None or at is None or at.ndim or not isinstance(size[axis], int):
        return None
    axis %= len(size)
    return (*view.dims[:axis], (Axis(size[axis], int(at) % size[axis]),), *view.dims[axis:])


def _split(m: Match, view: View, node: Node) -> Dims | None:
    """One index of an axis, where all pieces have length 1."""
    size = sizes(m, node.inputs[0])
    if size is None:
        return None
    axis = node.attrs.get("axis", 0) % len(size)
    at = next(index for index, tensor in enumerate(node.outputs) if tensor is view.tensor)
    if size[axis] != len(node.outputs) or (sizes(m, view.tensor) or ())[axis] != 1:
        return None
    return (*view.dims[:axis], (Axis(size[axis], at),), *view.dims[axis + 1 :])


def _slice(m: Match, view: View, node: Node) -> Dims | None:
    """One index of an axis."""
    size, piece = sizes(m, node.inputs[0]), sizes(m, view.tensor)
    starts = node.attrs.get("starts") or (m.known(node.inputs[1]) if len(node.inputs) > 1 else None)
    if size is None or piece is None or starts is None:
        return None
    cut = [axis for axis, (a, b) in enumerate(zip(size, piece, strict=True)) if a != b]
    whole = size[cut[0]] if len(cut) == 1 else None
    if not isinstance(whole, int) or piece[cut[0]] != 1 or len(starts) != 1:
        return None
    start = int(starts[0])
    at = min(max(start + whole if start < 0 else start, 0), whole - 1)
    return (*view.dims[: cut[0]], (Axis(whole, at),), *view.dims[cut[0] + 1 :])


_STEPS: dict[str, Callable[[Match, View, Node], Dims | None]] = {
    **dict.fromkeys(REGROUPING, _regroup),
    "Transpose": _transpose,
    "Expand": _expand,
    "Gather": _gather,
    "Split": _split,
    "Slice": _slice,
}
"""Operator to what it makes of a view: the axes in the dimensions of its first input, None where nobody can tell."""
