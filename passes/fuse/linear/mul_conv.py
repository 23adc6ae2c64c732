"""Input multiplied or divided by a constant for each channel, followed by Conv or ConvTranspose."""

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.kernel import convolution, kernel
from passes.fuse.linear.scaling import channelwise, reciprocal, rewritable, stored, unbroadcast, whole_activation

x, w, b, c = Value("x"), Const("w"), Value("b"), Const("c")
mul, div = x * c, x / c
conv = op.one_of("Conv", "ConvTranspose")(mul | div, w, Opt(b))


@rule(conv, numerics=Close(16))
def mul_conv(m: Match, new: Builder) -> Tensor:
    """The convolution w (c x) + b is that of x with the weights w c."""
    whole_activation(m, x)
    rewritable(m, w)
    k = kernel(m, conv, w)
    unbroadcast(m, x, c, k.rank, k.inputs)
    s = channelwise(m, c, k.rank, k.inputs)
    s = s if mul in m else reciprocal(m, s)
    return convolution(m, new, conv, m[x], stored(m, k.scale_inputs(m[w], s), w), m.get(b))
