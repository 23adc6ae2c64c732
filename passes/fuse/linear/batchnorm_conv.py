"""BatchNormalization followed by Conv or ConvTranspose."""

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.kernel import convolution, kernel, shifted
from passes.fuse.linear.scaling import normalisation, rewritable, stored

x, w, b = Value("x"), Const("w"), Const("b")
bn = op.BatchNormalization(x, Const("gamma"), Const("beta"), Const("mean"), Const("variance"))
conv = op.one_of("Conv", "ConvTranspose")(bn, w, Opt(b))


@rule(conv, numerics=Close(32))
def batchnorm_conv(m: Match, new: Builder) -> Tensor:
    """The convolution w (s x + t) + b is that of x with w s and w t + b, where it reads no padding or t is 0.

    s = gamma / sqrt(variance + epsilon), t = beta - s mean.
    """
    rewritable(m, w)
    k = kernel(m, conv, w)
    s, t = normalisation(m, bn, k.inputs)
    weights = stored(m, k.scale_inputs(m[w], s), w)
    return convolution(m, new, conv, m[x], weights, shifted(m, conv, k, w, b, t))
