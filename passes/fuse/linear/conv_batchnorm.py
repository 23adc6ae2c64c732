"""Conv and ConvTranspose followed by BatchNormalization."""

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.kernel import convolution, kernel
from passes.fuse.linear.scaling import normalisation, rewritable, stored

x, w, b = Value("x"), Const("w"), Const("b")
conv = op.one_of("Conv", "ConvTranspose")(x, w, Opt(b))
bn = op.BatchNormalization(conv, Const("gamma"), Const("beta"), Const("mean"), Const("variance"))


@rule(bn, numerics=Close(32))
def conv_batchnorm(m: Match, new: Builder) -> Tensor:
    """A normalised convolution s (w x + b) + t has the weights s w and the bias s b + t.

    s = gamma / sqrt(variance + epsilon), t = beta - s mean.
    """
    rewritable(m, w)
    k = kernel(m, conv, w)
    s, t = normalisation(m, bn, k.outputs)
    weights, bias = k.scale_outputs(m[w], s), m.get(b, 0.0) * s + t
    return convolution(m, new, conv, m[x], stored(m, weights, w), stored(m, bias, w))
