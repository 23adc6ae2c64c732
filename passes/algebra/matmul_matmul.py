"""Products with constant matrices, one after the other and beside each other."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, Value, rule
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import MATRIX, Array, Tensor
from passes.fuse.linear.scaling import rewritable, stored

x, a, b, shift = Value("x"), Const("a"), Const("b"), Const("shift")
plain, shifted = (x @ a) @ b, (x @ a + shift) @ b

w, v, between = Const("w"), Const("v"), Value("between")
low = (x @ a) @ b
pair = x @ w + (x @ v | low)
apart = (x @ w + between) + (x @ v | low)


@rule(plain | shifted, numerics=Close(128), opset=7)
def matmul_matmul(m: Match, new: Builder) -> Tensor:
    """(x a) b is x (a b), where the product has no more weights than its factors."""
    _matrices(m, a, b)
    product = m[a] @ m[b]
    m.require(product.size <= m[a].size + m[b].size, "together they would take more multiplications")
    result = new.MatMul(m[x], stored(m, product, a))
    if shift not in m:
        return result
    row = m[shift].reshape(-1)
    along = m[shift].size == m[shift].shape[-1] if m[shift].ndim else False
    m.require(along and row.size == m[a].shape[1], "the summand differs between rows")
    m.require(m[shift].ndim <= (m.rank(x) or 0), "the summand may have more dimensions than the product")
    return new.Add(result, stored(m, row @ m[b], b))


@rule(pair | apart, numerics=Close(128), opset=7)
def parallel_matmul(m: Match, new: Builder) -> Tensor:
    """(x w) + (x v) is x (w + v); so is (x w) + (x a) b, an adapter of low rank left beside its weights."""
    beside = [v] if v in m else [a, b]
    _matrices(m, w, *beside)
    added: Array = m[v] if v in m else m[a] @ m[b]
    m.require(added.shape == m[w].shape, "the two matrices differ in shape")
    result = new.MatMul(m[x], stored(m, m[w] + added, w))
    return new.Add(result, m[between]) if between in m else result


def _matrices(m: Match, *parts: Const) -> None:
    for part in parts:
        m.require(m.rank(part) == MATRIX and m.dtype(part) in FLOATS, f"{m.tensor(part).name} is no matrix of numbers")
        rewritable(m, part)
    m.require((m.rank(x) or 0) >= MATRIX, f"{m.tensor(x).name} is not known to be a matrix")
