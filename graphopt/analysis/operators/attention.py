"""Types of attention, in onnx and in ONNX Runtime's own domain, and of normalisations fused with an addition."""

from __future__ import annotations

import numpy as np

from graphopt.analysis.call import Call, types
from graphopt.analysis.operators.cutting import total
from graphopt.analysis.symbolic import Scalar, divide
from graphopt.analysis.types import UNKNOWN, Dims, Type

FLOAT = np.dtype(np.float32)
FLAT, HEADS, PACKED = 3, 4, 5
"""Ranks: (batch, sequence, hidden), (batch, heads, sequence, size), (batch, sequence, heads, n, size)."""


def times(a: Scalar | None, b: Scalar | None) -> Scalar | None:
    """The product, if both are known."""
    return None if a is None or b is None else a * b


def over(a: Scalar | None, b: int | None) -> Scalar | None:
    """The exact quotient, if both are known."""
    return None if a is None or not b else divide(a, b)


def _split_heads(dims: Dims | None, heads: int | None) -> Dims:
    """(batch, heads, sequence, size) of a tensor that may have heads and sizes in one dimension."""
    if dims is None:
        return (None,) * HEADS
    if len(dims) == HEADS:
        return dims
    batch, sequence, hidden = dims
    return batch, heads, sequence, over(hidden, heads)


@types("Attention")
def attention(call: Call) -> tuple[Type, ...]:
    """Output, present key and value, and the scores, which cover what is past too."""
    heads, kv_heads = call.attr("q_num_heads"), call.attr("kv_num_heads")
    batch, query_heads, queries, _ = _split_heads(call.dims(0), heads)
    _, _, keys, key_size = key = _split_heads(call.dims(1), kv_heads)
    value = _split_heads(call.dims(2), kv_heads)
    past = _split_heads(call.dims(4), None)[2] if call.has(4) else 0
    length = total((past, keys))
    dims: Dims = (batch, query_heads, queries, value[3])
    if call.rank(0) == FLAT:
        dims = (batch, queries, times(heads, value[3]))
    return (
        Type(call.dtype(0), dims if call.rank(0) is not None else None),
        Type(call.dtype(1), (key[0], key[1], length, key_size)),
        Type(call.dtype(2), (value[0], value[1], length, value[3])),
        Type(call.dtype(0), (batch, query_heads, queries, length)),
    )


@types("com.microsoft.Attention", "com.microsoft.QAttention")
def fused_attention(call: Call) -> tuple[Type, Type]:
    """The weights hold query, key and value, of equal sizes unless `qkv_hidden_sizes` says otherwise."""
    dims, weights = call.dims(0) or (None,) * FLAT, call.dims(1) or (None, None)
    sizes = call.attr("qkv_hidden_sizes")
    hidden = sizes[2] if sizes else over(weights[1], 3)
    dtype = call.dtype(0) if call.op == "Attention" else call.dtype(3)
    return Type(dtype, (*dims[:2], hidden)), Type(dtype)


@types("com.microsoft.MultiHeadAttention")
def multi_head_attention(call: Call) -> tuple[Type, ...]:
    """Queries may come with keys and values, (batch, sequence, heads, 3, size), and keys with values."""
    query, value = call.dims(0), call.dims(2)
    heads = call.attr("num_heads")
    if query is None:
        return (Type(call.dtype(0)),)
    hidden: Scalar | None = None
    if len(query) == PACKED:
        hidden = times(query[2], query[4])
    elif value is not None:
        hidden = value[2] if len(value) == FLAT else times(heads, value[3])
    elif call.rank(1) == PACKED:
        hidden = times(heads, (call.dims(1) or ())[4])
    return (Type(call.dtype(0), (*query[:2], hidden)), Type(call.dtype(0)), Type(call.dtype(0)))


@types("com.microsoft.GroupQueryAttention")
def group_query_attention(call: Call) -> tuple[Type, ...]:
    """Without keys, queries come with keys and values."""
    query = call.dims(0)
    if query is None:
        return (Type(call.dtype(0)),)
    heads, shared = call.attr("num_heads"), call.attr("kv_num_heads")
    hidden = query[2] if call.has(1) else times(over(query[2], heads + 2 * shared), heads)
    cache = Type(call.dtype(3) if call.has(3) else call.dtype(0))
    return (Type(call.dtype(0), (*query[:2], hidden)), cache, cache)


@types("com.microsoft.SkipLayerNormalization", "com.microsoft.SkipSimplifiedLayerNormalization")
def skip_layer_normalization(call: Call) -> tuple[Type, ...]:
    """Output, mean, inverse deviation, and the sum that was normalised."""
    dims = call.dims(0)
    statistics = Type(FLOAT, None if dims is None else (*dims[:-1], 1))
    return call.type(0), statistics, statistics, call.type(0)


@types("com.microsoft.EmbedLayerNormalization")
def embed_layer_normalization(call: Call) -> tuple[Type, ...]:
    """Output, mask index, and the sum of embeddings."""
    ids, words = call.dims(0) or (None, None), call.dims(2) or (None, None)
    out = Type(call.dtype(2), (*ids, words[1]))
    return out, Type(np.dtype(np.int32)), out


@types("com.microsoft.BiasSplitGelu")
def bias_split_gelu(call: Call) -> Type:
    """Half of the last dimension gates the other half."""
    dims = call.dims(0)
    return UNKNOWN if dims is None else Type(call.dtype(0), (*dims[:-1], over(dims[-1], 2)))
