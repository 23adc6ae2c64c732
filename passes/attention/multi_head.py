"""MultiHeadAttention."""

from __future__ import annotations

from graphopt import Builder, Close, Match, rule
from graphopt.ir.types import Tensor
from passes.attention.axes import View, leaves
from passes.attention.core import Attention, product, read, scale
from passes.attention.layout import Layout, steps
from passes.attention.operands import length
from passes.attention.scores import Term

MICROSOFT = "com.microsoft"


@rule(product, numerics=Close(64), emits="com.microsoft::MultiHeadAttention")
def multi_head_attention(m: Match, new: Builder) -> Tensor:
    """softmax(scale Q K^T + bias) V, for each head, is MultiHeadAttention(Q, K, V)."""
    attention = read(m)
    operands = attention.operands
    heads = length(operands.heads)
    m.require(isinstance(heads, int), "the number of heads is unknown")
    m.require(operands.cost <= 3, "queries, keys and values lie so that it takes more nodes to bring them in order")
    layout = Layout(new)
    q, k, v = (layout.write(one.reading.view.tensor, one.way) for one in operands.all)
    bias = added(m, new, attention)
    made = new.MultiHeadAttention(q, k, v, None, None, bias, domain=MICROSOFT, num_heads=heads, scale=scale(attention))
    return _back(m, layout, attention, made)


def added(m: Match, new: Builder, attention: Attention) -> Tensor | None:
    """What is added to the scores, (batch or 1, heads or 1, queries, keys)."""
    bias = None
    for term in attention.scores.terms:
        if not isinstance(term, Term):
            m.refuse("numbers take the place of scores")
        there = {axis for dim in term.view.leaves for axis in dim}
        batch = tuple(axis for axis in attention.operands.batch if axis in there)
        heads = tuple(axis for axis in attention.operands.heads if axis in there)
        m.require(not batch or batch == attention.operands.batch, "what is added differs in part of the batch")
        m.require(not heads or heads == attention.operands.heads, "what is added differs in part of the heads")
        way = steps(term.view, (batch, heads, attention.rows.dims[-2], attention.rows.dims[-1]))
        m.require(way is not None, "what is added to the scores has not a number for each query and key")
        one = Layout(new).write(term.view.tensor, way or ())
        bias = one if bias is None else new.Add(one, bias)
    return bias


def _back(m: Match, layout: Layout, attention: Attention, made: Tensor) -> Tensor:
    """The result as the product had it, heads before rows."""
    operands, rows, last = attention.operands, attention.rows, attention.value.dims[-1]
    view = View(made, (leaves(operands.batch), leaves(rows.dims[-2]), (*leaves(operands.heads), *leaves(last))))
    way = steps(view, (*rows.dims[:-1], last))
    m.require(way is not None, "the dimensions of the result are unknown")
    return layout.write(made, way or ())
