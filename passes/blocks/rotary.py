"""Rotary embeddings before attention that turns queries and keys itself."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Opt, Value, op, rule
from graphopt.ir import values
from graphopt.ir.types import Tensor
from passes.blocks.contrib import DOMAIN

OUTPUTS = 3
"""The result, and all keys and values, which the runtime wants to have names."""
MULTIPLE = 16
"""Of which the size of heads is one where the operator turns them."""

query, key, cos, sin, start = map(Value, ("query", "key", "cosines", "sines", "start"))
value, lengths, total = map(Value, ("value", "lengths", "length"))
past = Opt(Value("past key")), Opt(Value("past value"))
own = op.domain(DOMAIN)
turned_query, turned_key = own.RotaryEmbedding(query, start, cos, sin), own.RotaryEmbedding(key, start, cos, sin)
attention = own.GroupQueryAttention(turned_query, turned_key, value, *past, lengths, total)


@rule(attention, numerics=Close(64), emits="com.microsoft::GroupQueryAttention")
def rotated_grouped_attention(m: Match, new: Builder) -> Tensor:
    """GroupQueryAttention of queries and keys that were turned by the same angles, from position 0, turns them."""
    m.require(all(m.get(one.inner) is None for one in past), "it has a past, which is turned already")
    m.require(values.scalar(m[start]) == 0 and m.rank(start) == 1, "the positions do not start from 0")
    many, shared = (m[attention].attrs[name] for name in ("num_heads", "kv_num_heads"))
    heads = [m[one].attrs.get("num_heads", 0) for one in (turned_query, turned_key)]
    m.require(heads == [many, shared], "other numbers of heads are turned")
    ways = [
        {name: held for name, held in m[one].attrs.items() if name in ("interleaved", "scale")}
        for one in (turned_query, turned_key)
    ]
    m.require(ways[0] == ways[1], "queries and keys are turned in different ways")
    width, table = m.shape(query), m.shape(cos)
    size = width[-1] // many if width is not None and isinstance(width[-1], int) else 0
    m.require(size and size % MULTIPLE == 0 and table is not None, f"the size of heads is no multiple of {MULTIPLE}")
    m.require(table is not None and table[-1] == size // 2, "a part of each head is turned")
    attrs = m[attention].attrs | {"do_rotary": 1, "rotary_interleaved": ways[0].get("interleaved")}
    operands = (m[query], m[key], m[value], None, None, m[lengths], m[total], m[cos], m[sin])
    made: Tensor = new.node("GroupQueryAttention", *operands, domain=DOMAIN, outputs=OUTPUTS, **attrs)[0]
    return made
