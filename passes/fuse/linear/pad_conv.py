"""Pad followed by Conv."""

from graphopt import Builder, Close, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.kernel import kernel
from passes.fuse.linear.padding import enlarged, pad_of, spatial, value

x, w, b = Value("x"), Value("w"), Value("b")
pad = pad_of(x)
conv = op.Conv(pad, w, Opt(b))


@rule(conv, numerics=Close(4))
def pad_conv(m: Match, new: Builder) -> Tensor:
    """A convolution of an input padded with zeros does the padding itself."""
    m.require(value(m, pad) == 0, "Pad fills in another number than 0")
    added = spatial(m, pad, kernel(m, conv, w).rank)
    return new.Conv(m[x], m[w], m.get(b), **enlarged(m, conv, added))
