"""Embeddings of words, types and positions, added up and normalised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from graphopt import Builder, Close, Match, Opt, Value, op, rule
from graphopt.analysis.order import cut_off
from graphopt.ir import dtypes
from graphopt.ir.types import Node, Tensor
from graphopt.ir.values import constant
from passes.blocks.contrib import DOMAIN, is_row

EMITS = "com.microsoft::EmbedLayerNormalization"
INT32 = np.dtype(np.int32)
MOST = 3
"""Summands: words, their types, and positions."""
IDS, TABLE, POSITIONS = 2, 2, 3
"""Dimensions of ids, (batch, sequence), of tables, (rows, hidden), and of positions, (1, sequence, hidden)."""
OUTPUTS = 2
"""The result, and an index of a mask, which the runtime wants to have a name."""
START, AXES = 1, 3
"""Inputs of Slice."""

x, skip, gamma, beta = Value("x"), Value("skip"), Value("scale"), Value("offset")
norm = op.domain(DOMAIN).SkipLayerNormalization(x, skip, gamma, beta, Opt(Value("bias")))


@rule(norm, numerics=Close(64), emits=EMITS, opset=10)
def embed_layer_norm(m: Match, new: Builder) -> Tensor:
    """SkipLayerNormalization of embeddings of words, perhaps of their types, and of positions is
    EmbedLayerNormalization.

    It takes no rows that are counted from the end of a table: ids come into the range of the table before.
    """
    m.require(len(m[norm].inputs) == len((x, skip, gamma, beta)), "a bias is added too")
    m.require(not any(tensor.name for tensor in m[norm].outputs[1:]), "the sum is used too")
    summands = [*_summands(m, m[x]), *_summands(m, m[skip])]
    nodes = [node for tensor in summands if (node := tensor.producer) is not None]
    lookups = [node for node in nodes if _is_lookup(m, node)]
    places = [(tensor, table) for tensor in summands if (table := _from_the_first(m, tensor)) is not None]
    m.require(lookups and len(places) == 1 and len(lookups) + 1 == len(summands), "it is no sum of embeddings")
    fewer = len(lookups) > 1 or places[0][0].producer is not None
    m.require(fewer, "one lookup beside constant positions takes fewer operators as it is")
    lookups.sort(key=lambda node: -_rows(node))
    _aligned(m, lookups, places[0][0])
    m.require(is_row(m, gamma, norm) and is_row(m, beta, norm), "scale and offset are no vectors")
    m.take(*nodes)
    held = m.held(places[0][1])
    words, *types = [(_in_range(m, new, node), node.inputs[0]) for node in lookups]
    numbers, table = types[0] if types else (None, None)
    operands = (words[0], numbers, words[1], held.reshape(held.shape[1:]), table, m[gamma], m[beta])
    epsilon = m.attr(norm, "epsilon")
    made: Tensor = new.node("EmbedLayerNormalization", *operands, domain=DOMAIN, outputs=OUTPUTS, epsilon=epsilon)[0]
    return made


def _aligned(m: Match, lookups: Sequence[Node], positions: Tensor) -> None:
    """Require as many words as types, and a position for each of them. Raises Refused."""
    ids = [m.shapes.dims(node.inputs[1]) for node in lookups]
    first, place = ids[0], m.shapes.dims(positions)
    if first is None or place is None or None in first or place[1] is None or first[1] is None:
        m.refuse("the shapes of ids and positions are unknown")
    m.require(all(one == first for one in ids), "words and types have different shapes")
    m.require(cut_off(place[1], first[1]), "there is not one position for each word")


def _summands(m: Match, tensor: Tensor) -> Iterator[Tensor]:
    """What a tensor is the sum of: lookups, pieces and constants. Raises Refused for others, or more than may be."""
    pending = [tensor]
    for _ in range(2 * MOST):
        if not pending:
            return
        one = pending.pop()
        node = one.producer
        if constant(one) is not None:
            yield one
            continue
        if node is None or node.domain or m.is_output(one):
            break
        if node.op == "Add" and len(one.outputs) == 1:
            m.take(node)
            pending += node.inputs
        elif node.op in ("Gather", "Slice"):
            yield one
        else:
            break
    m.refuse("it is no sum of embeddings")


def _is_lookup(m: Match, node: Node) -> bool:
    """Whether rows of a constant table are looked up by ids."""
    held = constant(node.inputs[0])
    whole = held is not None and len(held.shape) == TABLE and held.shape[0] > 0
    return node.op == "Gather" and not node.attrs.get("axis", 0) and whole and m.rank(node.inputs[1]) == IDS


def _from_the_first(m: Match, tensor: Tensor) -> Tensor | None:
    """The constant rows, one for each position, that a tensor is, or is the first of; None if it is no such."""
    node = tensor.producer
    table = tensor if node is None else node.inputs[0]
    held = constant(table)
    if held is None or len(held.shape) != POSITIONS or held.shape[0] != 1:
        return None
    return table if node is None or (node.op == "Slice" and _begins(m, node)) else None


def _begins(m: Match, node: Node) -> bool:
    """Whether a Slice takes the first rows, one after the other."""
    given = [m.known(tensor) for tensor in node.inputs[START:]]
    if len(given) < AXES or any(given[at] is None for at in (0, *range(AXES - START, len(given)))):
        return False
    start, _, axes, *step = [None if one is None else one.tolist() for one in given]
    return start == [0] and axes in ([1], [1 - POSITIONS]) and step in ([], [[1]])


def _rows(node: Node) -> int:
    held = constant(node.inputs[0])
    return 0 if held is None else held.shape[0]


def _in_range(m: Match, new: Builder, node: Node) -> Tensor:
    """The ids of a lookup from 0 on, as int32."""
    dtype = m.dtype(node.inputs[1])
    if dtype is None:
        m.refuse("the dtype of ids is unknown")
    found: Tensor = new.Mod(node.inputs[1], np.array(_rows(node), dtype))
    return found if dtype == INT32 else new.Cast(found, to=dtypes.elem_type(INT32))
