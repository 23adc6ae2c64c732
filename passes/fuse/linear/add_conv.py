"""Input plus or minus a constant for each channel, followed by Conv."""

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.kernel import convolution, kernel, shifted
from passes.fuse.linear.scaling import channelwise, readable, unbroadcast

x, w, b, c = Value("x"), Const("w"), Const("b"), Const("c")
add, sub = x + c, x - c
conv = op.one_of("Conv", "ConvTranspose")(add | sub, w, Opt(b))


@rule(conv, numerics=Close(32))
def add_conv(m: Match, new: Builder) -> Tensor:
    """The convolution w (x + c) + b is that of x with the bias w c + b, where it reads no padding."""
    readable(m, w)
    k = kernel(m, conv, w)
    unbroadcast(m, x, c, k.rank, k.inputs)
    t = channelwise(m, c, k.rank, k.inputs)
    bias = shifted(m, conv, k, w, b, t if add in m else -t)
    return convolution(m, new, conv, m[x], m.tensor(w), bias)
