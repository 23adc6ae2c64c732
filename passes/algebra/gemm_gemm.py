"""Gemm with constant weights, one after the other and beside each other."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import Array, Tensor
from graphopt.rewrite.pattern import Node
from passes.fuse.linear.product import no_larger
from passes.fuse.linear.scaling import rewritable, stored

x, a, b, v, c, between = Value("x"), Const("a"), Const("b"), Const("v"), Const("c"), Value("between")
inner = op.Gemm(x, a, Opt(b))
outer = op.Gemm(inner, v, Opt(c))
other = op.Gemm(x, v, Opt(c))


@rule(outer, numerics=Close(128), opset=7)
def gemm_gemm(m: Match, new: Builder) -> Tensor:
    """(x a + b) v + c is x (a v) + (b v + c), where the product has no more weights than its factors."""
    first, last = _weights(m, inner, a), _weights(m, outer, v)
    product = first @ last
    m.require(product.size <= first.size + last.size, "together they would take more multiplications")
    parts = [np.broadcast_to(_summand(m, inner, b), last.shape[:1]) @ last] if b in m else []
    parts += [_summand(m, outer, c)] if c in m else []
    bias = stored(m, no_larger(m, sum(parts[1:], parts[0]), *parts), a) if parts else None
    return new.Gemm(m[x], stored(m, product, a), bias)


@rule(inner + other | (inner + between) + other, numerics=Close(128), opset=7)
def parallel_gemm(m: Match, new: Builder) -> Tensor:
    """(x a + b) + (x v + c) is x (a + v) + (b + c)."""
    first, second = _weights(m, inner, a), _weights(m, other, v)
    m.require(first.shape == second.shape, "the two matrices differ in shape")
    parts = [_summand(m, call, part) for call, part in ((inner, b), (other, c)) if part in m]
    bias = stored(m, no_larger(m, sum(parts[1:], parts[0]), *parts), a) if parts else None
    result = new.Gemm(m[x], stored(m, first + second, a), bias)
    return new.Add(result, m[between]) if between in m else result


def _weights(m: Match, gemm: Node, part: Const) -> Array:
    """The constant matrix as (inputs, outputs), with alpha."""
    rewritable(m, part)
    m.require(m.dtype(part) in FLOATS, f"{m.tensor(part).name} is no matrix of floating numbers")
    m.require(not m.attr(gemm, "transA", 0), "the first operand is transposed")
    held: Array = m[part].T if m.attr(gemm, "transB", 0) else m[part]
    scaled: Array = held * m.attr(gemm, "alpha", 1.0)
    return scaled


def _summand(m: Match, gemm: Node, part: Const) -> Array:
    """The constant summand, a row or a number, with beta."""
    held: Array = m[part] * m.attr(gemm, "beta", 1.0)
    m.require(held.ndim == 0 or held.size == held.shape[-1], "the summand differs between rows")
    return held.reshape(-1)
