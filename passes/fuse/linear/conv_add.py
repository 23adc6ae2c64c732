"""Conv and ConvTranspose plus or minus a constant for each channel."""

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.kernel import convolution, kernel
from passes.fuse.linear.scaling import channelwise, stored

x, w, b, c = Value("x"), Value("w"), Const("b"), Const("c")
conv = op.one_of("Conv", "ConvTranspose")(x, w, Opt(b))
add, sub = conv + c, conv - c


@rule(add | sub, numerics=Close(16))
def conv_add(m: Match, new: Builder) -> Tensor:
    """A convolution w x + b, plus c, has the bias b + c."""
    k = kernel(m, conv, w)
    t = channelwise(m, c, k.rank, k.outputs)
    bias = m.get(b, 0.0) + (t if add in m else -t)
    return convolution(m, new, conv, m[x], m[w], stored(m, bias, w))
