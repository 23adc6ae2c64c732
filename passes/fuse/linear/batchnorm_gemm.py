"""BatchNormalization followed by Gemm or MatMul of matrices."""

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.product import matrices, no_larger
from passes.fuse.linear.scaling import normalisation, owned, stored

x, w, b = Value("x"), Const("w"), Const("b")
bn = op.BatchNormalization(x, Const("gamma"), Const("beta"), Const("mean"), Const("variance"))
gemm, matmul = op.Gemm(bn, w, Opt(b)), op.MatMul(bn, w)


@rule(gemm | matmul, numerics=Close(64), opset=7)
def batchnorm_gemm(m: Match, new: Builder) -> Tensor:
    """(x s + t) w + b is Gemm with weights s w and bias t w + b.

    s = gamma / sqrt(variance + epsilon), t = beta - s mean.
    """
    matrices(m, x, w)
    owned(m, w)
    product = gemm if gemm in m else matmul
    m.require(not m.attr(product, "transA", 0), "the normalised axis is not the one that is summed up")
    weights = m[w].T if m.attr(product, "transB", 0) else m[w]
    s, t = normalisation(m, bn, weights.shape[0])
    inner, old = m.attr(product, "alpha", 1.0) * (t @ weights), m.attr(product, "beta", 1.0) * m.get(b, 0.0)
    bias = stored(m, no_larger(m, inner + old, inner, old), w)
    return new.Gemm(m[x], stored(m, s[:, None] * weights, w), bias, **m[product].attrs | {"beta": None, "transB": None})
