"""Attention that puts new keys and values behind those of earlier calls by itself."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.rewrite.pattern import Node
from passes.attention.axes import Axis
from passes.attention.layout import Layout, Step, steps
from passes.attention.operands import Operand
from passes.attention.reading import seen, sizes

MICROSOFT = "com.microsoft"
HEADS = 4
"""Dimensions of keys that were set apart: batch, heads, sequence, size."""

query, bias, mask, added = Value("query"), Value("bias"), Value("mask"), Value("added")
past_key, new_key, past_value, new_value = map(Value, ("past key", "new key", "past value", "new value"))
keys = op.Concat(past_key, new_key, axis=lambda axis: axis in (2, -2)).shared()
values = op.Concat(past_value, new_value, axis=lambda axis: axis in (2, -2)).shared()
attention = op.domain(MICROSOFT).MultiHeadAttention(query, keys, values, Opt(bias), Opt(mask), Opt(added))


@rule(attention, numerics=Close(64), emits="com.microsoft::MultiHeadAttention")
def cached_attention(m: Match, new: Builder) -> dict[Node, Tensor]:
    """MultiHeadAttention of keys and values behind past ones takes the past, and returns both together."""
    m.require(len(m[attention].inputs) <= len("qkvbma") and len(m[attention].outputs) == 1, "it has a past already")
    m.require(bias not in m, "it adds a bias to queries, keys and values")
    m.require(not m.attr(attention, "unidirectional", 0), "with a past it would hide keys counted from another one")
    m.require(not m.leads_back(keys, values), "its mask, or something else that it reads, may be made of all keys")
    operands = [_flat(m, m[part]) for part in (new_key, new_value)]
    past = [m.shape(part) for part in (past_key, past_value)]
    m.require(all(shape is not None and len(shape) == HEADS for shape in past), "the past has not four dimensions")
    layout = Layout(new, m.opset)
    for operand in operands:
        m.take(*operand.reading.nodes)
    k, v = (layout.write(operand.reading.view.tensor, operand.way) for operand in operands)
    inputs = (m[query], k, v, None, m.get(mask), m.get(added), m[past_key], m[past_value])
    attrs = m[attention].attrs
    made, present_key, present_value = new.node("MultiHeadAttention", *inputs, domain=MICROSOFT, outputs=3, **attrs)
    return {attention: made, keys: present_key, values: present_value}


def _flat(m: Match, tensor: Tensor) -> Operand:
    """New keys or values with the elements of all heads side by side, as they are or after one step. Raises Refused."""
    size = sizes(m, tensor)
    if size is None or len(size) != HEADS:
        m.refuse("the shape of new keys or values is unknown")
    batch, heads, rows, last = dims = tuple((Axis(one),) for one in size)
    found: list[tuple[tuple[Step, ...], Operand]] = []
    for reading in seen(m, tensor, dims):
        way = steps(reading.view, (batch, rows, (*heads, *last)))
        if way is not None and reading.factor == 1:
            found.append((way, Operand(reading, way)))
    way, operand = min(reversed(found), key=lambda pair: len(pair[0]) - len(pair[1].reading.nodes), default=((), None))
    if operand is None or len(way) > 1:
        m.refuse("new keys or values are not projections whose heads were set apart")
    return operand
