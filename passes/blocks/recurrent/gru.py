"""GRU, put together again from cells that exporters unroll: with the product of the state formed before it is reset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from graphopt import Builder, Close, Match, Rest, Value, op, rule
from graphopt.ir import values
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

ROLES = 3
"""Gates of a cell: update, reset, new, in the order in which GRU takes them."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One step. hidden: the state before; given, recurrent: the products with x and with the state, each with which
    piece of it is which gate; without a product of the state, `biases` are the pieces that it would add to nothing.
    """

    x: Tensor
    hidden: Tensor
    made: Tensor
    given: Node
    recurrent: Node | None
    pieces: tuple[int, ...]
    biases: tuple[Array, ...]
    nodes: tuple[Node, ...]


@rule(op.Concat(Rest("steps")), numerics=Close(64), opset=BY_INPUT)
def unrolled_gru(m: Match, new: Builder) -> Tensor:
    """The states of cells one after the other, side by side, are what GRU gives for the sequence."""
    states, axis = steps(m)
    cells = _chain(m, states[-1])
    m.require([cell.made for cell in cells] == states, "it puts other states side by side, or in another order")
    return spread(new, _gru(m, new, cells)[0], axis)


change, fresh = Value("change"), Value("new")
mixed = op.Mul(op.Sub(Value("before"), op.Tanh(fresh).shared()), op.Sigmoid(change)) + op.Tanh(fresh).shared()


@rule(mixed, numerics=Close(64), opset=BY_INPUT)
def unrolled_gru_end(m: Match, new: Builder) -> Tensor:
    """The last state of cells one after the other is that of GRU."""
    cells = _chain(m, m.root.outputs[0])
    readers = {id(node) for cell in cells for node in cell.nodes}
    inner = [cell.made for cell in cells[:-1]]
    alone = all(id(reader) in readers for tensor in inner for reader in tensor.outputs)
    m.require(alone and not any(m.is_output(tensor) for tensor in inner), "states in between are used too")
    last: Tensor = new.Squeeze(_gru(m, new, cells)[1], np.array([0]))
    return last


def _gru(m: Match, new: Builder, cells: Sequence[Cell]) -> tuple[Tensor, ...]:
    """GRU for the cells: all states, (steps, 1, batch, size), and the last one, (1, batch, size). Raises Refused."""
    x, along = sequence(m, [cell.x for cell in cells])
    first, later = cells[0], cells[1]
    size = (m.shape(later.made) or (None,))[-1]
    m.require(isinstance(size, int), "the size of states is unknown")
    for cell in cells:
        m.take(*cell.nodes)
    products = [later.given, later.recurrent]
    weights, biases = [], []
    for node in products:
        if node is not None:
            weights.append(in_order(m.held(node.inputs[1]), later.pieces)[None])
            biases.append(in_order(row(m, node), later.pieces))
    state = None
    if not zero(m, first.hidden):
        own, whole = m.shape(first.hidden), m.shape(first.made)
        m.require(
            own is not None and own == whole and None not in own,
            "the first state is not known to be as large as the others",
        )
        state = new.Unsqueeze(first.hidden, np.array([0]))
    ordered = x if not along else new.Transpose(x, perm=[1, 0, 2])
    operands = (ordered, *weights, np.concatenate(biases)[None], None, state)
    made: tuple[Tensor, ...] = new.node("GRU", *operands, outputs=2, hidden_size=size, linear_before_reset=1)
    return made


def _chain(m: Match, last: Tensor) -> list[Cell]:
    """The cells that lead to a state, the first one first, all with the same weights. Raises Refused."""
    cells: list[Cell] = []
    current = last
    while (cell := _cell(m, current)) is not None:
        cells.insert(0, cell)
        current = cell.hidden
        if cell.recurrent is None:
            break
    m.require(len(cells) >= FEWEST, "there is no sequence of cells")
    later = cells[1]
    same = all(
        (c.given.inputs[1:], c.recurrent and c.recurrent.inputs[1:], c.pieces)
        == (later.given.inputs[1:], later.recurrent and later.recurrent.inputs[1:], later.pieces)
        for c in cells[1:]
    )
    m.require(same and all(a.made is b.hidden for a, b in pairwise(cells)), "the cells differ")
    m.require(_begins(m, cells[0], later), "the first cell differs, or begins with a state that was folded into it")
    return cells


def _begins(m: Match, first: Cell, later: Cell) -> bool:
    """Whether the first cell is one like the later ones, its state perhaps a zero that was multiplied out."""
    if first.given.inputs[1:] != later.given.inputs[1:] or first.pieces != later.pieces or later.recurrent is None:
        return False
    if first.recurrent is not None:
        return first.recurrent.inputs[1:] == later.recurrent.inputs[1:]
    wanted = np.split(row(m, later.recurrent), ROLES)
    pairs = zip(first.biases, (wanted[piece] for piece in later.pieces), strict=True)
    return zero(m, first.hidden) and all(np.allclose(found, piece, rtol=1e-5, atol=1e-6) for found, piece in pairs)


def _cell(m: Match, hidden: Tensor) -> Cell | None:
    """The cell that a state comes from; None if it comes from none."""
    find = Finder(m)
    fresh, kept = find.two(hidden, "Add", lambda node: node.op == "Tanh")
    if fresh is None or kept is None or kept.op != "Mul":
        return None
    update, change = find.two(kept.outputs[0], "Mul", lambda node: node.op == "Sigmoid")
    if update is None or change is None or change.op != "Sub" or change.inputs[1] is not fresh.outputs[0]:
        return None
    for own, reset in _both(find.operands(fresh.inputs[0], "Add")):
        gate, _ = next(((g, r) for g, r in _both(find.operands(reset, "Mul")) if find.op(g) == "Sigmoid"), (None, None))
        if gate is None or own.producer is None or own.producer.op != "Split":
            continue
        held = find.operands(reset, "Mul") or (gate, gate)
        last = held[1] if held[0] is gate else held[0]
        sums = [find.operands(node.inputs[0], "Add") for node in (update, find.take(gate))]
        return _of(find, hidden, change.inputs[0], [*sums, (own, last)])
    return None


def _both(pair: tuple[Tensor, Tensor] | None) -> tuple[tuple[Tensor, Tensor], ...]:
    return () if pair is None else (pair, pair[::-1])


def _of(find: Finder, made: Tensor, hidden: Tensor, sums: Sequence[tuple[Tensor, Tensor] | None]) -> Cell | None:
    """The cell whose gates are sums of a piece of what is given, and of a piece of the state, or of constants."""
    given = sums[-1][0].producer if sums[-1] is not None else None
    pairs = [
        pair if pair[0].producer is given else pair[::-1]
        for pair in sums
        if pair is not None and given in (pair[0].producer, pair[1].producer)
    ]
    if given is None or len(pairs) != ROLES or not _even(find.m, given):
        return None
    pieces = tuple(given.outputs.index(one) for one, _ in pairs)
    product = given.inputs[0].producer
    if product is None or product.op != "Gemm" or not is_projection(find.m, product):
        return None
    find.nodes |= dict.fromkeys((given, product))
    others = [other for _, other in pairs]
    if all(values.constant(other) is not None for other in others):
        biases = tuple(find.m.held(other) for other in others)
        return Cell(product.inputs[0], hidden, made, product, None, pieces, biases, tuple(find.nodes))
    split = others[0].producer
    inner = split.inputs[0].producer if split is not None and split.op == "Split" and _even(find.m, split) else None
    if (
        split is None
        or inner is None
        or inner.op != "Gemm"
        or not is_projection(find.m, inner)
        or inner.inputs[0] is not hidden
    ):
        return None
    if any(other.producer is not split for other in others) or tuple(map(split.outputs.index, others)) != pieces:
        return None
    find.nodes |= dict.fromkeys((split, inner))
    return Cell(product.inputs[0], hidden, made, product, inner, pieces, (), tuple(find.nodes))


def _even(m: Match, split: Node) -> bool:
    """Whether a Split gives as many equal pieces of the last axis of a matrix as there are gates."""
    alike = len(split.outputs) == ROLES and len({m.shape(one) for one in split.outputs}) == 1
    return split.op == "Split" and alike and split.attrs.get("axis", 0) in (1, -1)
