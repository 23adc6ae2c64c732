"""BatchNormalization followed by Gemm or MatMul of matrices."""

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.product import matrices, rows, scale_rows, shifted
from passes.fuse.linear.scaling import normalisation, rewritable, stored

x, w, b = Value("x"), Const("w"), Const("b")
bn = op.BatchNormalization(x, Const("gamma"), Const("beta"), Const("mean"), Const("variance"))
gemm, matmul = op.Gemm(bn, w, Opt(b)), op.MatMul(bn, w)


@rule(gemm | matmul, numerics=Close(32), opset=7)
def batchnorm_gemm(m: Match, new: Builder) -> Tensor:
    """(x s + t) w + b is Gemm with weights s w and bias t w + b.

    s = gamma / sqrt(variance + epsilon), t = beta - s mean.
    """
    matrices(m, x, w)
    rewritable(m, w)
    product = gemm if gemm in m else matmul
    s, t = normalisation(m, bn, rows(m, product, w))
    weights = stored(m, scale_rows(m, product, m[w], s), w)
    return new.Gemm(m[x], weights, shifted(m, product, w, b, t), **m[product].attrs | {"beta": None})
