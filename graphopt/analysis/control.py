"""Types through If, Loop and Scan: branches are joined, bodies are inferred until nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from graphopt.analysis.operators.cutting import common_dim
from graphopt.analysis.types import UNKNOWN, Dims, SymbolicArray, Type, join, join_values
from graphopt.ir.types import Graph, subgraphs
from graphopt.ir.walk import graphs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from graphopt.analysis.symbolic import Scalar
    from graphopt.ir.types import Node, Tensor

Known = tuple[Type, SymbolicArray | None]

ROUNDS = 8
"""A body whose types still change after as many passes has none."""


class Inference(Protocol):
    """What control flow needs of `Shapes`."""

    def inferred(self, tensor: Tensor) -> Type:
        """The type of a tensor."""

    def forget(self, tensors: Iterable[Tensor]) -> None:
        """Drop what is known of tensors."""

    def value(self, tensor: Tensor) -> SymbolicArray | None:
        """What is known of the values of a tensor."""

    def assume(self, tensor: Tensor, type_: Type, value: SymbolicArray | None) -> None:
        """Take this for what is known of a tensor."""


def owners(graph: Graph) -> dict[Tensor, Node]:
    """For every input of every body, the Loop or Scan that gives it; an If gives none."""
    return {
        tensor: node
        for inner in graphs(graph)
        for node in inner.nodes
        if node.attrs and node.op != "If"
        for body in subgraphs(node)
        for tensor in body.inputs
    }


def inner_tensors(graph: Graph) -> set[Tensor]:
    """The tensors that a graph, or a graph inside it, defines."""
    found: set[Tensor] = set()
    for inner in graphs(graph):
        found.update(inner.inputs)
        for node in inner.nodes:
            found.update(node.outputs)
    return found


def captured(node: Node) -> list[Tensor]:
    """The outer tensors that the graphs of a node refer to."""
    used: dict[Tensor, None] = {}
    inside: set[Tensor] = set()
    for body in subgraphs(node):
        inside |= inner_tensors(body)
        for inner in graphs(body):
            used.update(dict.fromkeys(inner.outputs))
            for nested in inner.nodes:
                used.update(dict.fromkeys(nested.inputs))
    return [tensor for tensor in used if tensor not in inside]


def infer_control(shapes: Inference, node: Node) -> list[Known]:
    """Types and values of the outputs of an If, Loop or Scan."""
    if node.op == "If":
        return _infer_if(shapes, node)
    return _infer_loop(shapes, node) if node.op == "Loop" else _infer_scan(shapes, node)


def _outputs(shapes: Inference, graph: Graph) -> list[Known]:
    return [(shapes.inferred(t), shapes.value(t)) for t in graph.outputs]


def _infer_if(shapes: Inference, node: Node) -> list[Known]:
    then, other = node.attrs.get("then_branch"), node.attrs.get("else_branch")
    if not isinstance(then, Graph) or not isinstance(other, Graph):
        return []
    condition = shapes.value(node.inputs[0])
    decided = condition.elements[0] if condition is not None and len(condition.elements) == 1 else None
    if decided is not None:
        return _outputs(shapes, then if decided else other)
    pairs = zip(_outputs(shapes, then), _outputs(shapes, other), strict=False)
    return [(join(a, b), join_values(x, y)) for (a, x), (b, y) in pairs]


def _infer_loop(shapes: Inference, node: Node) -> list[Known]:
    body = node.attrs.get("body")
    first = [Type(np.dtype(np.int64), ()), Type(np.dtype(np.bool_), ())]
    if not isinstance(body, Graph) or len(body.inputs) < len(first):
        return []
    carried = [shapes.inferred(t) for t in node.inputs[len(first) :]]
    carried, out = _fixpoint(shapes, body, first, carried, [], skip=1)
    scanned = [Type(t.dtype, None if t.dims is None else (None, *t.dims)) for t in out]
    return [(t, None) for t in (*carried, *scanned)]


def _fixpoint(
    shapes: Inference,
    body: Graph,
    first: Sequence[Type],
    carried: list[Type],
    last: Sequence[Type],
    *,
    skip: int,
) -> tuple[list[Type], list[Type]]:
    """Types of loop-carried tensors that hold before and after every iteration, and of the body's other outputs."""
    inside = inner_tensors(body)
    for turn in range(ROUNDS):
        if turn == ROUNDS - 1:
            carried = [Type(t.dtype) for t in carried]
        shapes.forget(inside)
        given = (*first, *carried, *last, *[UNKNOWN] * len(body.inputs))
        for tensor, type_ in zip(body.inputs, given, strict=False):
            shapes.assume(tensor, type_, None)
        found = [shapes.inferred(t) for t in body.outputs[skip:]]
        after = [join(a, b) for a, b in zip(carried, found, strict=False)]
        if after == carried:
            break
        carried = after
    return after, found[len(carried) :]


def _infer_scan(shapes: Inference, node: Node) -> list[Known]:
    body, count = node.attrs.get("body"), node.attrs.get("num_scan_inputs")
    if not isinstance(body, Graph) or not isinstance(count, int) or len(node.inputs) != len(body.inputs):
        return [(UNKNOWN, None)] * len(node.outputs)  # opset 8: a batch dimension and sequence lengths
    states = len(node.inputs) - count
    axes = node.attrs.get("scan_input_axes") or [0] * count
    types = [shapes.inferred(t) for t in node.inputs]
    sliced = [_without(t, axis) for t, axis in zip(types[states:], axes, strict=True)]
    lengths = [t.dims[a] for t, a in zip(types[states:], axes, strict=True) if t.dims is not None]
    carried, out = _fixpoint(shapes, body, [], types[:states], sliced, skip=0)
    places = node.attrs.get("scan_output_axes") or [0] * len(out)
    length = common_dim(lengths)
    scanned = [Type(t.dtype, _inserted(t.dims, a, length)) for t, a in zip(out, places, strict=True)]
    return [(t, None) for t in (*carried, *scanned)]


def _without(type_: Type, axis: int) -> Type:
    if type_.dims is None:
        return type_
    axis %= len(type_.dims)
    return Type(type_.dtype, type_.dims[:axis] + type_.dims[axis + 1 :])


def _inserted(dims: Dims | None, axis: int, length: Scalar | None) -> Dims | None:
    if dims is None:
        return None
    axis = axis % (len(dims) + 1)
    return (*dims[:axis], length, *dims[axis:])
