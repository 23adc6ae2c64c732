"""Causal attention whose heads share keys and values in groups, where the target has an operator for it."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Match, rule
from graphopt.ir import dtypes
from graphopt.ir.types import Tensor
from graphopt.rewrite.tape import Operand
from passes.attention.core import Attention, product, read, restored, scale
from passes.attention.layout import Layout
from passes.attention.masks import causal
from passes.attention.operands import FLAT, length

MICROSOFT, EMITS = "com.microsoft", "com.microsoft::GroupQueryAttention"
INT32 = np.dtype(np.int32)
SHAPE_IN_PARTS = 15
"""The first opset in which Shape takes a part of the shape."""
OUTPUTS = 3
"""The result, and all keys and values, which the runtime wants to have names."""


@rule(product, numerics=Close(64), emits=EMITS)
def grouped_attention(m: Match, new: Builder) -> Tensor:
    """softmax(scale Q K^T) V without later keys, several heads of Q for each of K and V, is GroupQueryAttention."""
    attention = read(m, grouped=True, layouts=(FLAT,))
    heads, terms = attention.operands.heads, attention.scores.terms
    many, shared = length(heads.all), length(heads.shared)
    m.require(isinstance(many, int) and isinstance(shared, int), "the number of heads is unknown")
    m.require(many != shared, "each head has keys and values of its own")
    query, key, value = attention.operands.all
    sizes = [length(dim) for dim in (attention.scores.size, attention.value.dims[-1])]
    m.require(sizes[0] == sizes[1], "keys and values have different sizes")
    m.require(len(terms) == 1 and causal(m, terms[0], attention.frame), "it does not hide exactly the later keys")
    layout = Layout(new, m.opset)
    q, k, v = (layout.write(one.reading.view.tensor, one.way) for one in (query, key, value))
    last, total = _lengths(m, new, attention, q)
    made, *_ = new.node(
        "GroupQueryAttention",
        *(q, k, v, None, None, last, total),
        domain=MICROSOFT,
        outputs=OUTPUTS,
        num_heads=many,
        kv_num_heads=shared,
        scale=scale(attention),
    )
    return restored(m, layout, attention, made)


def _lengths(m: Match, new: Builder, attention: Attention, query: Tensor) -> tuple[Operand, Operand]:
    """Of each sequence of the batch, the length without the last, and the length of all, as int32."""
    batch, rows = length(attention.frame.batch), length(attention.frame.rows)
    if isinstance(batch, int) and isinstance(rows, int):
        return np.full(batch, rows - 1, np.int32), np.array(rows, np.int32)
    m.require(m.opset >= SHAPE_IN_PARTS, f"before opset {SHAPE_IN_PARTS} it takes more to count the keys")
    total = new.Cast(new.Shape(query, start=1, end=2), to=dtypes.elem_type(INT32))
    return new.Expand(new.Sub(total, np.array([1], np.int32)), new.Shape(query, start=0, end=1)), total
