"""LSTM, put together again from cells that exporters unroll: one after the other, as a loop in Python made them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from graphopt import Builder, Close, Match, Rest, Value, op, rule
from graphopt.ir import values
from graphopt.ir.types import Array, Node, Tensor

ROLES = 4
"""Gates of a cell: input, forget, cell, output."""
ORDER = (0, 3, 1, 2)
"""The order in which LSTM takes them: input, output, forget, cell."""
FEWEST = 2
"""Steps that make a sequence."""
BY_INPUT = 13
"""The first opset in which Squeeze and Unsqueeze take axes as an input."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One step. gates: which piece of the split is which, by role; bias: all that is constant in the gates.

    hidden, carry: the state before; None for zeros, with which a first step was computed beforehand.
    """

    x: Tensor
    hidden: Tensor | None
    carry: Tensor | None
    made: tuple[Tensor, Tensor]
    weights: tuple[Tensor, Tensor | None]
    bias: Array
    gates: tuple[int, ...]
    nodes: tuple[Node, ...]


@rule(op.Concat(Rest("steps")), numerics=Close(64), opset=BY_INPUT)
def unrolled_lstm(m: Match, new: Builder) -> Tensor:
    """The states of cells one after the other, side by side, are what LSTM gives for the sequence."""
    lifts = [tensor.producer for tensor in m.root.inputs]
    states = [node.inputs[0] for node in lifts if node is not None and node.op == "Unsqueeze"]
    m.require(len(states) == len(lifts) >= FEWEST, "it does not put states side by side")
    axis = m.root.attrs.get("axis")
    known = [None if node is None else m.known(node.inputs[1]) for node in lifts]
    sides = {None if one is None else tuple(one.tolist()) for one in known}
    m.require(axis in (0, 1) and sides == {(axis,)}, "the states do not lie one after the other in time")
    cells = _chain(m, states[-1])
    m.require([cell.made[0] for cell in cells] == states, "it puts other states side by side, or in another order")
    m.take(*(node for node in lifts if node is not None))
    made = new.Squeeze(_lstm(m, new, cells)[0], np.array([1]))
    return new.Transpose(made, perm=[1, 0, 2]) if axis else made


out, carried = Value("gate"), Value("carried")
state = op.Sigmoid(out) * op.Tanh(carried)


@rule(state, numerics=Close(64), opset=BY_INPUT)
def unrolled_lstm_end(m: Match, new: Builder) -> Tensor:
    """The last state of cells one after the other is that of LSTM."""
    cells = _chain(m, m.root.outputs[0])
    readers = {id(node) for cell in cells for node in cell.nodes}
    inner = [tensor for cell in cells[:-1] for tensor in cell.made]
    alone = all(id(reader) in readers for tensor in inner for reader in tensor.outputs)
    m.require(alone and not any(m.is_output(tensor) for tensor in inner), "states in between are used too")
    m.require(len(cells[-1].made[1].outputs) == 1, "more than the last state is used")
    last: Tensor = new.Squeeze(_lstm(m, new, cells)[1], np.array([0]))
    return last


def _lstm(m: Match, new: Builder, cells: Sequence[Cell]) -> tuple[Tensor, ...]:
    """LSTM for the cells: all states, (steps, 1, batch, size), and the last one, (1, batch, size). Raises Refused."""
    x, along = _sequence(m, cells)
    first, later = cells[0], cells[1]
    size = (m.shape(later.made[0]) or (None,))[-1]
    m.require(isinstance(size, int), "the size of states is unknown")
    for cell in cells:
        m.take(*cell.nodes)
    pieces = [later.gates[role] for role in ORDER]
    given, recurrent = (_sorted(m.held(tensor), pieces) for tensor in later.weights if tensor is not None)
    bias = _sorted(later.bias, pieces)
    states: list[Tensor | None] = [None, None]
    if (
        first.hidden is not None
        and first.carry is not None
        and not all(_zero(m, one) for one in (first.hidden, first.carry))
    ):
        whole = {m.shape(one) for one in (first.hidden, first.carry, first.made[0])}
        m.require(len(whole) == 1 and None not in whole, "the first states are not known to be as large as the others")
        states = [new.Unsqueeze(one, np.array([0])) for one in (first.hidden, first.carry)]
    ordered = x if not along else new.Transpose(x, perm=[1, 0, 2])
    both = np.concatenate([bias, np.zeros_like(bias)])[None]
    operands = (ordered, given[None], recurrent[None], both, None, *states)
    made: tuple[Tensor, ...] = new.node("LSTM", *operands, outputs=2, hidden_size=size)
    return made


def _zero(m: Match, tensor: Tensor) -> bool:
    """Whether a state is a constant zero."""
    return values.constant(tensor) is not None and not m.held(tensor).any()


def _sorted(array: Array, pieces: Sequence[int]) -> Array:
    """The rows of an array, in as many parts as there are gates, in another order."""
    parts = np.split(array, ROLES)
    return np.concatenate([parts[piece] for piece in pieces])


def _sequence(m: Match, cells: Sequence[Cell]) -> tuple[Tensor, int]:
    """What the cells read one after the other, and along which axis. Raises Refused."""
    nodes = [cell.x.producer for cell in cells]
    reads = [node for node in nodes if node is not None and node.op == "Gather" and not node.domain]
    m.require(len(reads) == len(cells), "the cells do not read one step each")
    source, axis = reads[0].inputs[0], reads[0].attrs.get("axis", 0)
    steps = [values.scalar(node.inputs[1]) for node in reads if not m.rank(node.inputs[1])]
    alike = all(node.inputs[0] is source and node.attrs.get("axis", 0) == axis for node in reads)
    m.require(alike and axis in (0, 1) and m.rank(source) == 3, "the cells do not read steps of one sequence")  # noqa: PLR2004
    whole = (m.shape(source) or (None, None))[axis]
    m.require(steps == list(range(len(cells))) and whole == len(cells), "the cells do not read all steps in order")
    m.take(*reads)
    return source, axis


def _chain(m: Match, last: Tensor) -> list[Cell]:
    """The cells that lead to a state, the first one first, all with the same weights. Raises Refused."""
    cells: list[Cell] = []
    current: Tensor | None = last
    while current is not None and (cell := _cell(m, current)) is not None:
        cells.insert(0, cell)
        current = cell.hidden
    m.require(len(cells) >= FEWEST, "there is no sequence of cells")
    linked = all(a.made == (b.hidden, b.carry) for a, b in pairwise(cells))
    m.require(linked, "the cells do not pass on both of their states")
    later, first = cells[1], cells[0]
    same = all((c.weights, c.gates) == (later.weights, later.gates) for c in cells[1:])
    m.require(same and first.weights[0] is later.weights[0] and first.gates == later.gates, "the cells differ")
    close = all(np.allclose(c.bias, later.bias, rtol=1e-5, atol=1e-6) for c in cells)
    m.require(close, "the cells add different numbers, or the first one begins with a state")
    return cells


def _cell(m: Match, hidden: Tensor) -> Cell | None:
    """The cell that a state comes from; None if it comes from none."""
    find = _Finder(m)
    squashed, opened = find.two(hidden, "Mul", lambda node: node.op == "Tanh")
    carry = squashed and squashed.inputs[0]
    if opened is None or carry is None or opened.op != "Sigmoid":
        return None
    terms = find.operands(carry, "Add")
    for kept, added in (terms, terms[::-1]) if terms else ():
        tanh, sigmoid = find.two(added, "Mul", lambda node: node.op == "Tanh")
        keep = find.operands(kept, "Mul")
        gate = next((one for one in keep or () if find.op(one) == "Sigmoid"), None)
        if tanh is None or sigmoid is None or sigmoid.op != "Sigmoid" or keep is None or gate is None:
            continue
        before = keep[1] if keep[0] is gate else keep[0]
        roles = (sigmoid.inputs[0], find.take(gate).inputs[0], tanh.inputs[0], opened.inputs[0])
        return find.cell((hidden, carry), before, roles)
    return None


class _Finder:
    """Reads a cell backwards, and remembers of which nodes it consists."""

    def __init__(self, m: Match) -> None:
        self.m = m
        self.nodes: dict[Node, None] = {}

    def op(self, tensor: Tensor) -> str:
        node = tensor.producer
        return node.op if node is not None and not node.domain else ""

    def take(self, tensor: Tensor) -> Node:
        node = tensor.producer
        assert node is not None  # noqa: S101 - its operator was asked for
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

    def cell(self, made: tuple[Tensor, Tensor], carry: Tensor, roles: Sequence[Tensor]) -> Cell | None:
        """The cell whose gates, by role, are these tensors."""
        split = roles[0].producer
        if split is None or split.op != "Split" or any(one.producer is not split for one in roles):
            return None
        even = len(split.outputs) == ROLES and len({self.m.shape(one) for one in split.outputs}) == 1
        if split.attrs.get("axis", 0) not in (1, -1) or not even:
            return None
        self.nodes[split] = None
        gates = tuple(split.outputs.index(one) for one in roles)
        sums = self.operands(split.inputs[0], "Add") or (split.inputs[0],)
        products = [self.take(one) for one in sums if self.op(one) == "Gemm"]
        plain = all(_is_projection(node) for node in products)
        if len(products) != len(sums) or not plain:
            return None
        bias = sum(_row(self.m, node) for node in products)
        if not isinstance(bias, np.ndarray) or bias.ndim != 1:
            return None
        return self._of(products, made, carry, bias, gates)

    def _of(
        self, products: list[Node], made: tuple[Tensor, Tensor], carry: Tensor, bias: Array, gates: tuple[int, ...]
    ) -> Cell | None:
        nodes = tuple(self.nodes)
        if len(products) == 1:
            node = products[0]
            cell = Cell(node.inputs[0], None, None, made, (node.inputs[1], None), bias, gates, nodes)
            return cell if _zero(self.m, carry) else None
        inner = next((node for node in products if _reads_sequence(node)), None)
        if inner is None:
            return None
        other = products[1] if inner is products[0] else products[0]
        weights = inner.inputs[1], other.inputs[1]
        return Cell(inner.inputs[0], other.inputs[0], carry, made, weights, bias, gates, nodes)


def _is_projection(node: Node) -> bool:
    """Whether a Gemm multiplies by transposed constant weights, and adds a constant."""
    attr = node.attrs.get
    plain = attr("transB", 0) and not attr("transA", 0) and attr("alpha", 1.0) == attr("beta", 1.0) == 1
    return bool(plain) and len(node.inputs) > 2 and all(values.constant(one) is not None for one in node.inputs[1:3])  # noqa: PLR2004


def _reads_sequence(node: Node) -> bool:
    """Whether a product is one of a step of a sequence, not of a state."""
    producer = node.inputs[0].producer
    return producer is not None and producer.op == "Gather"


def _row(m: Match, node: Node) -> Array:
    """What a Gemm adds, if it is the same for every row of the batch; else an array of no use."""
    array = np.atleast_2d(m.held(node.inputs[2]))
    return array[0] if (array == array[:1]).all() else array
