"""Transpose followed by MatMul of matrices."""

from graphopt import Builder, Close, Match, op, rule, values
from graphopt.ir.types import Tensor
from passes.fuse.linear.product import is_swap, matrices

a, b = values("a b")
left, right = op.Transpose(a), op.Transpose(b)
first, second = left @ b, a @ right


@rule(first | second, numerics=Close(16), opset=11)
def transpose_matmul(m: Match, new: Builder) -> Tensor:
    """A product of matrices, one of which is transposed, is Gemm, which transposes by itself."""
    matrices(m, a, b)
    swap, flag = (left, "transA") if first in m else (right, "transB")
    m.require(is_swap(m.attr(swap, "perm")), "Transpose leaves the axes where they are")
    return new.Gemm(m[a], m[b], **{flag: 1})
