"""Attention, the operator of ai.onnx."""

from __future__ import annotations

import math

import numpy as np

from graphopt import Builder, Close, Match, rule
from graphopt.ir import values
from graphopt.ir.types import Tensor
from passes.attention.additions import total_bias
from passes.attention.core import Attention, product, read, restored, scale
from passes.attention.core import values as value
from passes.attention.layout import Layout
from passes.attention.masks import causal, never_all
from passes.attention.operands import FLAT, length
from passes.attention.scores import Fill, Term
from passes.fuse.guards import takes

NEARLY_LOWEST = -1e38
"""Takes the place of any score that it is added to. ONNX Runtime's kernel returns zeros for queries all of whose keys
have the lowest number, or minus infinity, added: the mean of values if it is this one, as the standard says."""
MOST_MOVES = 4


@rule(product, numerics=Close(64), opset=23)
def standard_attention(m: Match, new: Builder) -> Tensor:
    """softmax(scale Q K^T + bias) V, for each head, is Attention(Q, K, V), where the target has nothing faster."""
    faster = m.target.runs("MultiHeadAttention", "com.microsoft", m.dtype(product))
    m.require(not faster, f"the target {m.target} runs MultiHeadAttention, which is faster")
    takes(m, value, "Attention")
    m.require(m.dtype(value) != np.float16, "in ONNX Runtime's kernel, scores of float16 overflow")
    attention = read(m, grouped=True, layouts=(FLAT,))
    heads = attention.operands.heads
    many, shared = length(heads.all), length(heads.shared)
    m.require(isinstance(many, int) and isinstance(shared, int), "the number of heads is unknown")
    m.require(attention.operands.moves <= MOST_MOVES, "queries, keys and values are spread over too many dimensions")
    terms = attention.scores.terms
    later = len(terms) == 1 and causal(m, terms[0], attention.frame)
    bias = None if later else _bias(m, new, attention)
    layout = Layout(new, m.opset)
    q, k, v = (layout.write(one.reading.view.tensor, one.way) for one in attention.operands.all)
    numbers = {"q_num_heads": many, "kv_num_heads": shared, "scale": scale(attention)}
    made: Tensor = new.Attention(q, k, v, bias, is_causal=1 if later else None, **numbers)
    return restored(m, layout, attention, made)


def _bias(m: Match, new: Builder, attention: Attention) -> Tensor | None:
    """What is added to the scores, so that a row of which nothing counts gives what it gave. Raises Refused."""
    terms = attention.scores.terms
    total = total_bias(m, new, attention, list(terms))
    if total is None or all(values.constant(term.view.tensor) is not None and never_all(m, term) for term in terms):
        return total
    numbers = {number for term in terms for number in _numbers(term)}
    if attention.guarded and numbers == {-math.inf} and len(terms) == 1:
        return total
    m.require(not attention.guarded or all(never_all(m, term) for term in terms), "rows without a score give zeros")
    m.require(-math.inf not in numbers, "rows without a score give NaN")
    bounded: Tensor = new.Max(total, NEARLY_LOWEST)
    return bounded


def _numbers(term: Term | Fill) -> list[float]:
    """The numbers other than 0 that a term adds, as far as they are spelled out."""
    if isinstance(term, Fill):
        return [term.number]
    node = term.view.tensor.producer
    found = [values.scalar(tensor) for tensor in node.inputs[1:]] if node is not None and node.op == "Where" else []
    return [float(number) for number in found if number]
