"""MultiHeadAttention."""

from __future__ import annotations

from graphopt import Builder, Close, Match, rule
from graphopt.ir.types import Tensor
from passes.attention.additions import additions, cleared
from passes.attention.core import product, read, restored, scale
from passes.attention.layout import Layout
from passes.attention.operands import length

MICROSOFT = "com.microsoft"
MOST_MOVES = 3
"""Nodes that bring queries, keys and values in order, beyond which there may be no gain."""


@rule(product, numerics=Close(64), emits="com.microsoft::MultiHeadAttention")
def multi_head_attention(m: Match, new: Builder) -> Tensor:
    """softmax(scale Q K^T + bias) V, for each head, is MultiHeadAttention(Q, K, V)."""
    attention = read(m)
    heads = length(attention.operands.heads.all)
    m.require(isinstance(heads, int), "the number of heads is unknown")
    m.require(attention.operands.moves <= MOST_MOVES, "queries, keys and values are spread over too many dimensions")
    extra = additions(m, new, attention)
    layout = Layout(new, m.opset)
    q, k, v = (layout.write(one.reading.view.tensor, one.way) for one in attention.operands.all)
    made: Tensor = new.MultiHeadAttention(
        *(q, k, v, None, extra.keys, extra.bias),
        domain=MICROSOFT,
        num_heads=heads,
        scale=scale(attention),
        unidirectional=1 if extra.causal else None,
        mask_filter_value=extra.filler,
    )
    return restored(m, layout, attention, cleared(m, new, extra, made))
