"""Attention together with the projections before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from graphopt import Builder, Close, Match, Opt, Value, op, rule
from graphopt.ir import values
from graphopt.ir.edit import UNNAMED
from graphopt.ir.joined import Joined
from graphopt.ir.types import MATRIX, Array, Constant, Node, Tensor

MICROSOFT = "com.microsoft"
FEW_QUERIES, LARGE = 48, 1 << 20
"""The kernel multiplies row by row of the batch: with fewer queries in each than this, and weights of so many elements
that a cache does not hold, it is slower."""

query, key, value = Value("query"), Value("key"), Value("value")
bias, mask, added = Value("bias"), Value("mask"), Value("added")
attention = op.domain(MICROSOFT).MultiHeadAttention(query, key, value, Opt(bias), Opt(mask), Opt(added))


@dataclass(frozen=True, eq=False)
class Projection:
    """x W + b. columns: those of W, cut: if they are not all; nodes: of which it consists."""

    x: Tensor
    weights: Tensor
    columns: slice
    cut: bool
    bias: Tensor | None
    nodes: tuple[Node, ...]


@rule(attention, numerics=Close(64), emits="com.microsoft::Attention")
def packed_attention(m: Match, new: Builder) -> Tensor:
    """MultiHeadAttention of projections of one x is Attention(x), which multiplies by all three weights at once."""
    parts = [_projection(m, tensor) for tensor in (m[query], m[key], m[value])]
    x = parts[0].x
    m.require(all(part.x is x for part in parts), "queries, keys and values are projections of different inputs")
    m.require(len(m[attention].outputs) == 1, "it returns keys and values too")
    dims = m.shapes.dims(x)
    m.require(dims is not None and len(dims) == len("bsh"), "the input is not (batch, sequence, size)")
    batch, queries, width = dims or (None,) * 3
    sizes = [part.columns.stop - part.columns.start for part in parts]
    if isinstance(batch, int) and isinstance(queries, int) and isinstance(width, int):
        slow = batch > 1 and queries < FEW_QUERIES and width * sum(sizes) >= LARGE
        m.require(not slow, "with sequences as short as these it would be slower")
    m.require(sizes[0] == sizes[1], "queries and keys have different sizes")
    weights = _weights(m, parts)
    for part in parts:
        m.take(*part.nodes)
    attrs = {name: held for name, held in m[attention].attrs.items() if name in KEPT}
    if sizes[2] != sizes[0]:
        attrs["qkv_hidden_sizes"] = sizes
    both = _bias(m, parts, sizes)
    operands = (x, weights, both, m.get(mask), None, m.get(added))
    result: Tensor = new.Attention(*operands, domain=MICROSOFT, **attrs)
    return result


KEPT = ("num_heads", "scale", "unidirectional", "mask_filter_value")


def _projection(m: Match, tensor: Tensor) -> Projection:
    """The projection that a tensor is. Raises Refused."""
    node, bias, nodes = tensor.producer, None, list[Node]()
    start, stop = 0, None
    if node is not None and node.op == "Split" and not node.domain:
        pieces = [m.shape(output) for output in node.outputs]
        widths = [shape[-1] if shape else None for shape in pieces]
        at = node.outputs.index(tensor)
        rank = m.rank(tensor) or 0
        last = node.attrs.get("axis", 0) in (-1, rank - 1)
        if not last or not all(isinstance(width, int) for width in widths[: at + 1]):
            m.refuse("queries, keys and values are not cut from the columns of a projection")
        start = sum(width for width in widths[:at] if isinstance(width, int))
        stop = start + int(widths[at] or 0)
        nodes.append(node)
        node = node.inputs[0].producer
    if node is not None and node.op == "Add" and not node.domain:
        bias = next((one for one in node.inputs if values.constant(one) is not None), None)
        other = next((one for one in node.inputs if values.constant(one) is None), None)
        nodes.append(node)
        node = None if bias is None or other is None else other.producer
    product = node is not None and node.op == "MatMul" and not node.domain
    weights = values.constant(node.inputs[1]) if node is not None and product else None
    if node is None or weights is None or len(weights.shape) != MATRIX:
        m.refuse("queries, keys or values are not a projection with constant weights")
    nodes.append(node)
    width = weights.shape[1]
    if bias is not None and m.shape(bias) not in ((width,), (1, width), (1, 1, width)):
        m.refuse("what is added to a projection is no bias")
    columns = slice(start, width if stop is None else stop)
    return Projection(node.inputs[0], node.inputs[1], columns, stop is not None, bias, tuple(nodes))


def _weights(m: Match, parts: Sequence[Projection]) -> Tensor | Array:
    """The weights side by side, unread if they are wholes; the tensor that they were cut from if it is that already."""
    first = parts[0].weights
    whole = values.constant(first)
    columns = [part.columns for part in parts]
    in_order = columns[0].start == 0 and all(a.stop == b.start for a, b in pairwise(columns))
    one = whole is not None and columns[-1].stop == whole.shape[1] and all(part.weights is first for part in parts)
    if one and in_order:
        return first
    joined = None if any(part.cut for part in parts) else _joined([part.weights for part in parts])
    return joined or np.concatenate([m.held(part.weights)[:, part.columns] for part in parts], axis=1)


def _joined(tensors: Sequence[Tensor | None]) -> Constant | None:
    """Constants in a row along their last axis, unread; None if they are not all alike."""
    held = [tensor for tensor in tensors if isinstance(tensor, Constant)]
    alike = len({(one.dtype, one.shape[:-1]) for one in held}) == 1 and len(held) == len(tensors)
    return Constant(UNNAMED, Joined(held, axis=-1)) if alike else None


def _bias(m: Match, parts: Sequence[Projection], sizes: Sequence[int]) -> Constant | Array:
    """The biases in a row, zeros for those that there are not: the kernel cannot do without."""
    joined = None if any(part.cut for part in parts) or bias in m else _joined([part.bias for part in parts])
    if joined is not None and len(joined.shape) == 1:
        return joined
    total: Array = np.zeros(sum(sizes), m.dtype(parts[0].weights))
    at = 0
    for part, size in zip(parts, sizes, strict=True):
        if part.bias is not None:
            total[at : at + size] += m.held(part.bias).reshape(-1)[part.columns]
        at += size
    if bias in m:
        total += m.held(m[bias]).reshape(-1)
    return total
