"""MatMul of matrices, followed by Add."""

from graphopt import Builder, Close, Match, rule, values
from graphopt.ir.types import Tensor
from passes.fuse.linear.product import addable, matrices

a, b, c = values("a b c")
product = a @ b


@rule(product + c, numerics=Close(16), opset=7)
def matmul_add(m: Match, new: Builder) -> Tensor:
    """A product of matrices, plus c, is Gemm."""
    matrices(m, a, b)
    addable(m, product, c)
    return new.Gemm(m[a], m[b], m[c])
