"""Gemm or MatMul of matrices, followed by BatchNormalization."""

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.product import columns, matrices, no_larger, scale_columns
from passes.fuse.linear.scaling import normalisation, rewritable, stored

x, w, b = Value("x"), Const("w"), Const("b")
gemm, matmul = op.Gemm(x, w, Opt(b)), op.MatMul(x, w)
bn = op.BatchNormalization(gemm | matmul, Const("gamma"), Const("beta"), Const("mean"), Const("variance"))


@rule(bn, numerics=Close(32), opset=7)
def gemm_batchnorm(m: Match, new: Builder) -> Tensor:
    """A normalised product s (x w + b) + t is Gemm with w s and b s + t.

    s = gamma / sqrt(variance + epsilon), t = beta - s mean.
    """
    matrices(m, x, w)
    rewritable(m, w)
    product = gemm if gemm in m else matmul
    s, t = normalisation(m, bn, columns(m, product, w))
    bias = no_larger(m, m.attr(product, "beta", 1.0) * m.get(b, 0.0) * s + t, s, m.get(b, 0.0))
    weights = scale_columns(m, product, m[w], s)
    return new.Gemm(m[x], stored(m, weights, w), stored(m, bias, w), **m[product].attrs | {"beta": None})
