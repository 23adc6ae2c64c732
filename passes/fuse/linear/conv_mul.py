"""Conv and ConvTranspose multiplied or divided by a constant for each channel."""

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.kernel import convolution, kernel
from passes.fuse.linear.scaling import channelwise, reciprocal, rewritable, stored

x, w, b, c = Value("x"), Const("w"), Const("b"), Const("c")
conv = op.one_of("Conv", "ConvTranspose")(x, w, Opt(b))
mul, div = conv * c, conv / c


@rule(mul | div, numerics=Close(32))
def conv_mul(m: Match, new: Builder) -> Tensor:
    """A convolution w x + b, times c, has the weights c w and the bias c b."""
    rewritable(m, w)
    k = kernel(m, conv, w)
    s = channelwise(m, c, k.rank, k.outputs)
    s = s if mul in m else reciprocal(m, s)
    bias = stored(m, m[b] * s, w) if b in m else None
    return convolution(m, new, conv, m[x], stored(m, k.scale_outputs(m[w], s), w), bias)
