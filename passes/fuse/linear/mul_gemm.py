"""Matrix multiplied or divided by a constant for each column, followed by Gemm or MatMul."""

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import MATRIX, Tensor
from passes.fuse.linear.product import matrices, rows, scale_rows
from passes.fuse.linear.scaling import channelwise, reciprocal, rewritable, stored, unbroadcast, whole_activation

x, w, b, c = Value("x"), Const("w"), Value("b"), Const("c")
mul, div = x * c, x / c
product = op.one_of("Gemm", "MatMul")(mul | div, w, Opt(b))


@rule(product, numerics=Close(16), opset=7)
def mul_gemm(m: Match, new: Builder) -> Tensor:
    """The product (x c) w + b is that of x with the weights c w."""
    matrices(m, x, w)
    whole_activation(m, x)
    rewritable(m, w)
    count = rows(m, product, w)
    unbroadcast(m, x, c, MATRIX, count)
    s = channelwise(m, c, MATRIX, count)
    weights = scale_rows(m, product, m[w], s if mul in m else reciprocal(m, s))
    made: Tensor = new.node(m[product].op, m[x], stored(m, weights, w), m.get(b), **m[product].attrs)
    return made
