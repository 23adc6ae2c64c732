"""Attention in one operator."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from graphopt.ir.types import MATRIX
from passes.distill.network.call import Call, Given, Operator

FLAT = 3
"""Dimensions of an operand whose heads lie side by side: batch, length and hidden."""
OUTSIDE = -10000.0
"""What com.microsoft's operators add to the scores of keys that a mask leaves out."""


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Given, scale: float, *, causal: bool) -> Tensor:
    """The values (batch, heads, keys, depth) mixed by the softmax of scale q kᵀ + bias, for each query."""
    scores = scale * (q @ k.mT)
    if bias is not None:
        scores = scores + bias
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1 + scores.shape[-1] - scores.shape[-2])
        scores = scores.masked_fill(later, -math.inf)
    return torch.softmax(scores, -1) @ v


def _split(x: Tensor, heads: int) -> Tensor:
    """(batch, length, heads · depth) as (batch, heads, length, depth)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _joined(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def _scale(call: Call, depth: int) -> float:
    return float(call.attr("scale", 0.0) or depth**-0.5)


def _masked(call: Call, mask: Given, bias: Given) -> Given:
    """What a mask (batch, keys) of zeros and ones, and a bias, add to the scores."""
    if mask is None:
        return bias
    call.require(mask.ndim == MATRIX, "a mask that is not (batch, keys)")
    outside = torch.where(mask[:, None, None, :] != 0, 0.0, call.attr("mask_filter_value", OUTSIDE))
    return outside if bias is None else outside + bias


def _packed(
    call: Call, x: Tensor, w: Tensor, b: Given = None, mask: Given = None, past: Given = None, bias: Given = None
) -> Tensor:
    """com.microsoft's Attention, which projects its input itself."""
    call.require(past is None and call.count == 1, "an Attention with a past")
    call.require(not call.attr("do_rotary", 0), "an Attention that rotates")
    projected = x @ w if b is None else x @ w + b
    sizes = call.attr("qkv_hidden_sizes", [projected.shape[-1] // 3] * 3)
    q, k, v = (_split(part, call.attr("num_heads", 1)) for part in projected.split(list(sizes), dim=-1))
    added, scale = _masked(call, mask, bias), _scale(call, q.shape[-1])
    return _joined(attend(q, k, v, added, scale, causal=bool(call.attr("unidirectional", 0))))


def _multi_head(
    call: Call,
    query: Tensor,
    key: Given = None,
    value: Given = None,
    b: Given = None,
    mask: Given = None,
    bias: Given = None,
    *past: Given,
) -> Tensor:
    """com.microsoft's MultiHeadAttention, of queries, keys and values that stand apart."""
    call.require(all(one is None for one in past) and call.count == 1, "a MultiHeadAttention with a past")
    axes = {None if one is None else one.ndim for one in (query, key, value)}
    call.require(axes == {FLAT}, "a MultiHeadAttention of packed or split heads")
    parts = [one for one in (query, key, value) if one is not None]
    if b is not None:
        shifts = b.split([part.shape[-1] for part in parts])
        parts = [part + shift for part, shift in zip(parts, shifts, strict=True)]
    q, k, v = (_split(part, call.attr("num_heads", 1)) for part in parts)
    added, scale = _masked(call, mask, bias), _scale(call, q.shape[-1])
    return _joined(attend(q, k, v, added, scale, causal=bool(call.attr("unidirectional", 0))))


def _standard(call: Call, q: Tensor, k: Tensor, v: Tensor, mask: Given = None, *past: Given) -> Tensor:
    """The Attention of ai.onnx, with as many heads for queries as for keys, or several queries for each key."""
    call.require(all(one is None for one in past) and call.count == 1, "an Attention with a past")
    call.require(not call.attr("softcap", 0.0), "capped scores")
    flat = q.ndim == FLAT
    if flat:
        q, k, v = _split(q, call.attr("q_num_heads", 1)), *(_split(x, call.attr("kv_num_heads", 1)) for x in (k, v))
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.where(mask, 0.0, -math.inf)
    found = attend(q, k, v, mask, _scale(call, q.shape[-1]), causal=bool(call.attr("is_causal", 0)))
    return _joined(found) if flat else found


def _rotary(call: Call, x: Tensor, positions: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """com.microsoft's RotaryEmbedding: pairs of numbers turned by angles that grow with the position."""
    width = 2 * cosines.shape[1]
    flat = x.ndim == FLAT
    parts = _split(x, call.attr("num_heads", 0) or x.shape[-1] // width) if flat else x
    length = parts.shape[2]
    where = positions if positions.ndim > 1 else positions.reshape(1, 1) + torch.arange(length)
    c, s = (table[where.long()][:, None] for table in (cosines, sines))
    turned, kept = parts[..., :width], parts[..., width:]
    pairs = bool(call.attr("interleaved", 0))
    a, b = (turned[..., ::2], turned[..., 1::2]) if pairs else turned.chunk(2, -1)
    ends = (a * c - b * s, b * c + a * s)
    turned = torch.stack(ends, -1).flatten(-2) if pairs else torch.cat(ends, -1)
    found = torch.cat((turned, kept), -1)
    return _joined(found) if flat else found


OPERATORS: Mapping[str, Operator] = {"Attention": _standard}

CONTRIB: Mapping[str, Operator] = {"Attention": _packed, "MultiHeadAttention": _multi_head, "RotaryEmbedding": _rotary}
