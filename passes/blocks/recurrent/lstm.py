"""LSTM, put together again from cells that exporters unroll: one after the other, as a loop in Python made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from graphopt import Builder, Close, Match, Rest, Value, op, rule
from graphopt.ir.types import Array, Node, Tensor
from passes.blocks.recurrent.reading import (
    BY_INPUT,
    FEWEST,
    Finder,
    in_order,
    is_projection,
    row,
    sequence,
    spread,
    steps,
    zero,
)

ROLES = 4
"""Gates of a cell: input, forget, cell, output."""
ORDER = (0, 3, 1, 2)
"""The order in which LSTM takes them: input, output, forget, cell."""


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
    states, axis = steps(m)
    cells = _chain(m, states[-1])
    m.require([cell.made[0] for cell in cells] == states, "it puts other states side by side, or in another order")
    return spread(new, _lstm(m, new, cells)[0], axis)


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
    x, along = sequence(m, [cell.x for cell in cells])
    first, later = cells[0], cells[1]
    size = (m.shape(later.made[0]) or (None,))[-1]
    m.require(isinstance(size, int), "the size of states is unknown")
    for cell in cells:
        m.take(*cell.nodes)
    pieces = [later.gates[role] for role in ORDER]
    given, recurrent = (in_order(m.held(tensor), pieces) for tensor in later.weights if tensor is not None)
    bias = in_order(later.bias, pieces)
    states: list[Tensor | None] = [None, None]
    if (
        first.hidden is not None
        and first.carry is not None
        and not all(zero(m, one) for one in (first.hidden, first.carry))
    ):
        whole = {m.shape(one) for one in (first.hidden, first.carry, first.made[0])}
        m.require(len(whole) == 1 and None not in whole, "the first states are not known to be as large as the others")
        states = [new.Unsqueeze(one, np.array([0])) for one in (first.hidden, first.carry)]
    ordered = x if not along else new.Transpose(x, perm=[1, 0, 2])
    both = np.concatenate([bias, np.zeros_like(bias)])[None]
    operands = (ordered, given[None], recurrent[None], both, None, *states)
    made: tuple[Tensor, ...] = new.node("LSTM", *operands, outputs=2, hidden_size=size)
    return made


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


class _Finder(Finder):
    """Reads the cells of LSTM."""

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
        plain = all(is_projection(self.m, node) for node in products)
        if len(products) != len(sums) or not plain:
            return None
        bias: Array = np.sum([row(self.m, node) for node in products], axis=0)
        return self._of(products, made, carry, bias, gates)

    def _of(
        self, products: list[Node], made: tuple[Tensor, Tensor], carry: Tensor, bias: Array, gates: tuple[int, ...]
    ) -> Cell | None:
        nodes = tuple(self.nodes)
        if len(products) == 1:
            node = products[0]
            cell = Cell(node.inputs[0], None, None, made, (node.inputs[1], None), bias, gates, nodes)
            return cell if zero(self.m, carry) else None
        inner = next((node for node in products if _reads_sequence(node)), None)
        if inner is None:
            return None
        other = products[1] if inner is products[0] else products[0]
        weights = inner.inputs[1], other.inputs[1]
        return Cell(inner.inputs[0], other.inputs[0], carry, made, weights, bias, gates, nodes)


def _reads_sequence(node: Node) -> bool:
    """Whether a product is one of a step of a sequence, not of a state."""
    producer = node.inputs[0].producer
    return producer is not None and producer.op == "Gather"
