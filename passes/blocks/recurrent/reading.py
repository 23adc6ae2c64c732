"""What reading unrolled cells backwards needs, whichever cells they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from graphopt import Builder, Match
from graphopt.ir import values
from graphopt.ir.types import Array, Node, Tensor

FEWEST = 2
"""Steps that make a sequence."""
BY_INPUT = 13
"""The first opset in which Squeeze and Unsqueeze take axes as an input."""
SEQUENCE = 3
"""Dimensions of a sequence: batch, time, features, in either order."""
BIAS = 2
"""The input of Gemm that it adds."""


def steps(m: Match) -> tuple[list[Tensor], int]:
    """The states that the matched Concat puts side by side, and along which axis. Raises Refused."""
    lifts = [tensor.producer for tensor in m.root.inputs]
    found = [node.inputs[0] for node in lifts if node is not None and node.op == "Unsqueeze"]
    m.require(len(found) == len(lifts) >= FEWEST, "it does not put states side by side")
    axis = m.root.attrs.get("axis")
    known = [None if node is None else m.known(node.inputs[1]) for node in lifts]
    sides = {None if one is None else tuple(one.tolist()) for one in known}
    m.require(axis in (0, 1) and sides == {(axis,)}, "the states do not lie one after the other in time")
    m.take(*(node for node in lifts if node is not None))
    return found, 1 if axis else 0


def spread(new: Builder, made: Tensor, axis: int) -> Tensor:
    """All states of an operator, (steps, 1, batch, size), with time in the first or the second dimension."""
    flat: Tensor = new.Squeeze(made, np.array([1]))
    if not axis:
        return flat
    turned: Tensor = new.Transpose(flat, perm=[1, 0, 2])
    return turned


def sequence(m: Match, inputs: Sequence[Tensor]) -> tuple[Tensor, int]:
    """What the cells read one after the other, and along which axis. Raises Refused."""
    nodes = [one.producer for one in inputs]
    reads = [node for node in nodes if node is not None and node.op == "Gather" and not node.domain]
    m.require(len(reads) == len(inputs), "the cells do not read one step each")
    source, axis = reads[0].inputs[0], reads[0].attrs.get("axis", 0)
    steps = [values.scalar(node.inputs[1]) for node in reads if not m.rank(node.inputs[1])]
    alike = all(node.inputs[0] is source and node.attrs.get("axis", 0) == axis for node in reads)
    m.require(alike and axis in (0, 1) and m.rank(source) == SEQUENCE, "the cells do not read steps of one sequence")
    whole = (m.shape(source) or (None, None))[axis]
    m.require(steps == list(range(len(inputs))) and whole == len(inputs), "the cells do not read all steps in order")
    m.take(*reads)
    return source, axis


def zero(m: Match, tensor: Tensor) -> bool:
    """Whether a state is a constant zero."""
    return values.constant(tensor) is not None and not m.held(tensor).any()


def in_order(array: Array, pieces: Sequence[int]) -> Array:
    """The rows of an array, in as many parts as there are gates, in another order."""
    parts = np.split(array, len(pieces))
    return np.concatenate([parts[piece] for piece in pieces])


class Finder:
    """Reads a cell backwards, and remembers of which nodes it consists."""

    def __init__(self, m: Match) -> None:
        self.m = m
        self.nodes: dict[Node, None] = {}

    def op(self, tensor: Tensor) -> str:
        """The operator of ai.onnx that computes a tensor; empty for none."""
        node = tensor.producer
        return node.op if node is not None and not node.domain else ""

    def take(self, tensor: Tensor) -> Node:
        """The node that computes a tensor, which then is one of the cell's."""
        node = tensor.producer
        if node is None:
            self.m.refuse(f"{tensor.name} is computed by no node")
        self.nodes[node] = None
        return node

    def operands(self, tensor: Tensor, name: str) -> tuple[Tensor, Tensor] | None:
        """The two operands of an operator of that name."""
        if self.op(tensor) != name:
            return None
        first, second = self.take(tensor).inputs
        return first, second

    def two(self, tensor: Tensor, name: str, first: Callable[[Node], bool]) -> tuple[Node | None, Node | None]:
        """The producers of both operands, the one that is wanted first before the other."""
        nodes = [one.producer for one in self.operands(tensor, name) or ()]
        found = [node for node in nodes if node is not None and not node.domain]
        if len(found) != len(nodes) or not found or sum(map(first, found)) != 1:
            return None, None
        self.nodes |= dict.fromkeys(found)
        return (found[0], found[1]) if first(found[0]) else (found[1], found[0])


def is_projection(m: Match, node: Node) -> bool:
    """Whether a Gemm multiplies by transposed constant weights, and adds the same constant to each row."""
    attr = node.attrs.get
    plain = attr("transB", 0) and not attr("transA", 0) and attr("alpha", 1.0) == attr("beta", 1.0) == 1
    if not plain or len(node.inputs) <= BIAS or any(values.constant(one) is None for one in node.inputs[1:]):
        return False
    rows = np.atleast_2d(m.held(node.inputs[BIAS]))
    return bool((rows == rows[:1]).all())


def row(m: Match, node: Node) -> Array:
    """What such a Gemm adds to each row."""
    return np.broadcast_to(np.atleast_2d(m.held(node.inputs[BIAS]))[0], len(m.held(node.inputs[1])))
