"""Matrix plus or minus a constant for each column, followed by Gemm or MatMul."""

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import MATRIX, Tensor
from passes.fuse.linear.product import matrices, rows, shifted
from passes.fuse.linear.scaling import channelwise, readable, unbroadcast

x, w, b, c = Value("x"), Const("w"), Const("b"), Const("c")
add, sub = x + c, x - c
product = op.one_of("Gemm", "MatMul")(add | sub, w, Opt(b))


@rule(product, numerics=Close(32), opset=7)
def add_gemm(m: Match, new: Builder) -> Tensor:
    """The product (x + c) w + b is Gemm with the bias c w + b."""
    matrices(m, x, w)
    readable(m, w)
    count = rows(m, product, w)
    unbroadcast(m, x, c, MATRIX, count)
    t = channelwise(m, c, MATRIX, count)
    bias = shifted(m, product, w, b, t if add in m else -t)
    return new.Gemm(m[x], m.tensor(w), bias, **m[product].attrs | {"beta": None})
