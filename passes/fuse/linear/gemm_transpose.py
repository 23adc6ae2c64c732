"""Gemm, or MatMul of matrices, followed by Transpose."""

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.product import is_swap, matrices
from passes.fuse.linear.scaling import stored

a, b, c = Value("a"), Value("b"), Const("c")
gemm, matmul = op.Gemm(a, b, Opt(c)), a @ b
swap = op.Transpose(gemm | matmul)


@rule(swap, numerics=Close(16), opset=11)
def gemm_transpose(m: Match, new: Builder) -> Tensor:
    """The transpose of a b + c is Gemm of the transposes of b and a, plus that of c."""
    matrices(m, a, b)
    m.require(is_swap(m.attr(swap, "perm")), "Transpose leaves the axes where they are")
    product = gemm if gemm in m else matmul
    attrs = {"transA": 1 - m.attr(product, "transB", 0), "transB": 1 - m.attr(product, "transA", 0)}
    bias = stored(m, m[c].reshape((1,) * (2 - m[c].ndim) + m[c].shape).T, a) if c in m else None
    return new.Gemm(m[b], m[a], bias, **m[product].attrs | attrs)
