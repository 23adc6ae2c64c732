"""Rotary position embeddings: pairs of elements turned by an angle that grows with the position.

The pairs are (i, i + n/2), "half", or (2 i, 2 i + 1), "interleaved". Source: Su et al., RoFormer, 2021.
"""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Match, Rest, Value, op, rule
from graphopt.ir import values
from graphopt.ir.types import Array, Tensor
from graphopt.ir.types import Node as IrNode
from graphopt.rewrite.pattern import Node, Pattern
from passes.attention.axes import Axis, View
from passes.attention.layout import Layout, steps
from passes.attention.reading import REGROUPING, Reading, seen, sizes
from passes.fuse.guards import takes

MICROSOFT = "com.microsoft"
HEADS = 4
"""Dimensions of what is turned: batch, heads, positions, elements."""

x, cosine, sine = Value("x"), Value("cosine"), Value("sine")
cuts = Rest("where it is cut"), Rest("where it is cut")
sliced = op.Slice(x, cuts[0]).shared(), op.Slice(x, cuts[1]).shared()
split = op.Split(x, cuts[0]).shared()


def turn(first: Pattern, second: Pattern) -> Node:
    """The halves of x turned."""
    return x * cosine + op.Concat(op.Neg(second), first) * sine


by_slices, by_split = turn(*sliced), turn(split[0], split[1])
stacked = op.Concat(op.Unsqueeze(op.Neg(sliced[1]), Rest("axis")), op.Unsqueeze(sliced[0], Rest("axis")))
by_strides = x * cosine + op.Reshape(stacked, Value("shape")) * sine


@rule(by_slices | by_split | by_strides, numerics=Close(16), emits="com.microsoft::RotaryEmbedding")
def rotary_embedding(m: Match, new: Builder) -> Tensor:
    """A sum x cos + (-x2, x1) sin, x1 and x2 being the halves of x, or every other element, is RotaryEmbedding(x)."""
    size = _size(m)
    interleaved = by_strides in m
    (_alternating if interleaved else _halves)(m, size)
    cos, sin = (_half(m, new, m[part], size) for part in (cosine, sine))
    return _written(m, new, cos, sin, _heads(m))


@rule(by_slices | by_split, numerics=Close(16), opset=23)
def standard_rotary_embedding(m: Match, new: Builder) -> Tensor:
    """A sum x cos + (-x2, x1) sin is RotaryEmbedding(x) of ai.onnx, where the target has no other."""
    other = m.target.runs("RotaryEmbedding", MICROSOFT, m.dtype(x))
    m.require(not other, f"the target {m.target} has an operator for any opset")
    takes(m, x, "RotaryEmbedding")
    size = _size(m)
    _halves(m, size)
    cos, sin = (_half(m, new, m[part], size) for part in (cosine, sine))
    dims = m.shape(x) or ()
    batch = dims[0]
    if not isinstance(batch, int):
        m.refuse("the batch is free, and angles are wanted for every row of it")
    if isinstance(cos, Tensor) or isinstance(sin, Tensor):
        m.refuse("the angles are computed")
    rows = [np.tile(one[None], (batch, 1, 1)) for one in (cos, sin)]
    made: Tensor = new.RotaryEmbedding(m[x], *rows)
    return made


def _size(m: Match) -> int:
    """The number of elements that are turned at each position. Raises Refused."""
    shape = m.shape(x)
    m.require(shape is not None and len(shape) == HEADS, "what is turned has not four dimensions")
    size = (shape or (None,))[-1]
    if not isinstance(size, int) or size % 2:
        m.refuse("the number of elements that are turned is unknown, or odd")
    m.require(m.shape(m.root.outputs[0]) == shape, "the angles broadcast what is turned")
    return size


def _halves(m: Match, size: int) -> None:
    """Require that the turned pairs are the halves of x. Raises Refused."""
    parts = sliced if by_slices in m else (split[0], split[1])
    found = [_cut(m, m[part], m.tensor(part)) for part in parts]
    m.require(found == [(0, 1), (size // 2, 1)], "what is turned is not in pairs of halves")


def _alternating(m: Match, size: int) -> None:
    """Require that the turned pairs are neighbours in x. Raises Refused."""
    found = [_cut(m, m[part], m.tensor(part)) for part in sliced]
    m.require(found == [(0, 2), (1, 2)], "what is turned is not in pairs of neighbours")
    pieces = [m.shape(tensor) for tensor in m[stacked].inputs]
    apart = all(piece is not None and piece[-2:] == (size // 2, 1) for piece in pieces)
    m.require(apart and m[stacked].attrs.get("axis") in (-1, HEADS), "the neighbours are not put beside each other")


def _cut(m: Match, node: IrNode, piece: Tensor) -> tuple[int, int] | None:
    """From where, and in which steps, a Slice or Split cuts half of the last axis of x; None for anything else."""
    whole, own = m.shape(x) or (), m.shape(piece)
    size = whole[-1]
    if own is None or own[:-1] != whole[:-1] or not isinstance(size, int) or own[-1] != size // 2:
        return None
    if node.op == "Split" and node.attrs.get("axis", 0) in (-1, HEADS - 1):
        return (0 if node.outputs[0] is piece else size // 2), 1
    return _slice(m, node, size)


def _slice(m: Match, node: IrNode, size: int) -> tuple[int, int] | None:
    """From where, and in which steps, a Slice cuts along one axis of that size; None for anything else."""
    given = [node.attrs.get(name) for name in ("starts", "steps")]
    starts, strides = (
        known if known is not None else (m.known(node.inputs[at]) if len(node.inputs) > at else np.ones(1))
        for known, at in zip(given, (1, 4), strict=True)
    )
    if node.op != "Slice" or starts is None or strides is None or len(starts) != 1:
        return None
    start = int(starts[0])
    return max(start + size, 0) if start < 0 else start, int(strides[0])


def _half(m: Match, new: Builder, tensor: Tensor, size: int) -> Array | Tensor:
    """The cosines or sines, (positions, size / 2): the second half is the first again. Raises Refused."""
    held = values.constant(tensor)
    if held is None and by_strides not in m:
        return _computed(m, new, tensor, size)
    if held is None:
        m.refuse("the angles of neighbours are computed")
    m.require(all(one == 1 for one in held.shape[:-2]), "the angles differ from row to row, or from head to head")
    m.require(len(held.shape) > 1 and held.shape[-1] == size, "the angles are not those of each position")
    table = m.held(tensor).reshape(held.shape[-2:])
    neighbours = by_strides in m
    halves = (table[:, ::2], table[:, 1::2]) if neighbours else (table[:, : size // 2], table[:, size // 2 :])
    m.require(np.array_equal(*halves), "the elements of a pair are turned by different angles")
    positions = (m.shape(x) or ())[2]
    m.require(positions == len(table), "the angles are not those of each position")
    return np.ascontiguousarray(halves[0])


def _computed(m: Match, new: Builder, tensor: Tensor, size: int) -> Tensor:
    """Cos or Sin of angles that were put beside themselves: of these angles alone. Raises Refused."""
    nodes: list[IrNode] = []
    current = tensor
    while (node := current.producer) is not None and node.op in REGROUPING:
        nodes.append(node)
        current = node.inputs[0]
    twice = node.inputs[0].producer if node is not None and node.op in ("Cos", "Sin") else None
    if node is None or twice is None or twice.op != "Concat" or [*twice.inputs] != [twice.inputs[0]] * 2:
        m.refuse("the angles are not known to be the same for both elements of a pair")
    angles = twice.inputs[0]
    shape, dims = m.shape(angles), m.shapes.dims(m[x])
    whole = sizes(m, tensor)
    fits = shape is not None and shape[-1] == size // 2
    m.require(fits and twice.attrs.get("axis") in (-1, len(shape or ()) - 1), "the angles are not those of pairs")
    aligned = whole is not None and dims is not None and whole[-2:] == (dims[2], size)
    m.require(aligned, "the angles are not those of positions")
    m.require(all(one == 1 for one in (whole or ())[:-2]), "the angles differ from row to row")
    m.take(*nodes, node, twice)
    table: Tensor = new.Reshape(new.node(node.op, angles), np.array([-1, size // 2], np.int64))
    return table


def _heads(m: Match) -> Reading | None:
    """Where what is turned is read from with the elements of all heads side by side; None if nowhere."""
    size = sizes(m, m[x])
    if size is None:
        return None
    batch, heads, rows, last = ((Axis(one),) for one in size)
    flat = (batch, rows, (*heads, *last))
    for reading in reversed(seen(m, m[x], (batch, heads, rows, last))):
        if reading.factor == 1 and steps(reading.view, flat) == ():
            return reading
    return None


def _written(m: Match, new: Builder, cos: Array | Tensor, sin: Array | Tensor, flat: Reading | None) -> Tensor:
    """RotaryEmbedding, where it can be before the heads are set apart: what comes after then needs no order."""
    start, attrs = np.zeros(1, np.int64), {"domain": MICROSOFT, "interleaved": 1 if by_strides in m else None}
    if flat is None:
        found: Tensor = new.RotaryEmbedding(m[x], start, cos, sin, **attrs)
        return found
    m.take(*flat.nodes)
    heads = (m.shape(x) or ())[1]
    made = new.RotaryEmbedding(flat.view.tensor, start, cos, sin, num_heads=heads, **attrs)
    size = sizes(m, m[x]) or ()
    batch, many, rows, last = ((Axis(one),) for one in size)
    way = steps(View(made, (batch, rows, (*many, *last))), (batch, many, rows, last))
    m.require(way is not None and isinstance(heads, int), "the number of heads is unknown")
    return Layout(new, m.opset).write(made, way or ())


whole, table_cos, table_sin, position = map(Value, ("whole", "cosines", "sines", "position"))
head, tail = op.Slice(whole, Rest("cut")).shared(), op.Slice(whole, Rest("cut")).shared()
inner = op.domain(MICROSOFT).RotaryEmbedding(head, position, table_cos, table_sin)


@rule(op.Concat(inner, tail), numerics=Close(16), emits="com.microsoft::RotaryEmbedding")
def partial_rotary_embedding(m: Match, new: Builder) -> Tensor:
    """RotaryEmbedding of the first elements of each head, before the others, is one of all that turns only these."""
    shape, first, rest = (m.shape(part) for part in (whole, head, tail))
    if shape is None or first is None or rest is None or len(shape) != HEADS:
        m.refuse("what is turned has not four dimensions")
    cut, size = first[-1], shape[-1]
    m.require(m.root.attrs.get("axis") in (-1, HEADS - 1) and m.shape(m.root.outputs[0]) == shape, "parts are missing")
    m.require(isinstance(cut, int) and isinstance(size, int), "the number of elements that are turned is unknown")
    pieces = [_slice(m, m[part], int(size or 0)) for part in (head, tail)]
    in_order = pieces == [(0, 1), (cut, 1)] and first[:-1] == shape[:-1] == rest[:-1]
    m.require(in_order, "the parts are not those of one head each")
    attrs = m[inner].attrs | {"rotary_embedding_dim": cut, "num_heads": shape[1]}
    made: Tensor = new.RotaryEmbedding(m[whole], m[position], m[table_cos], m[table_sin], domain=MICROSOFT, **attrs)
    return made
