"""Transpose followed by Gemm."""

from graphopt import Builder, Close, Match, Opt, op, rule, values
from graphopt.ir.types import Tensor
from passes.fuse.linear.product import is_swap

a, b, c = values("a b c")
left, right = op.Transpose(a), op.Transpose(b)
first, second = op.Gemm(left, b, Opt(c)), op.Gemm(a, right, Opt(c))


@rule(first | second, numerics=Close(16), opset=7)
def transpose_gemm(m: Match, new: Builder) -> Tensor:
    """Gemm transposes its operands itself (transA, transB)."""
    gemm, swap, flag = (first, left, "transA") if first in m else (second, right, "transB")
    m.require(is_swap(m.attr(swap, "perm")), "Transpose leaves the axes where they are")
    attrs = m[gemm].attrs | {flag: 1 - m.attr(gemm, flag, 0)}
    return new.Gemm(m[a], m[b], m.get(c), **attrs)
