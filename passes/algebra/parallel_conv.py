"""Convolutions of the same input, a normalisation or multiple of it, or the input itself, that are summed up."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from passes.algebra.convolution import convolution, taps
from passes.algebra.taps import Taps, scaling, total
from passes.fuse.linear.scaling import channelwise, normalisation

x, between = Value("x"), Value("between")
w, b, v, c, factor = Const("w"), Const("b"), Const("v"), Const("c"), Const("factor")
conv = op.Conv(x, w, Opt(b))
other = op.Conv(x, v, Opt(c))
normal = op.BatchNormalization(x, Const(), Const(), Const(), Const())
multiple = x * factor
pair = conv + (other | normal | multiple | x)
apart = (conv + between) + (other | normal | multiple | x)


@rule(pair | apart, numerics=Close(64), opset=7)
def parallel_conv(m: Match, new: Builder) -> Tensor:
    """Conv(x, w) + Conv(x, v) is Conv(x, w + v), the smaller kernel widened with zeros; so is Conv(x, w) + x."""
    first = taps(m, conv, w, b)
    second = taps(m, other, v, c) if other in m else _channels(m, first)
    size = m.shape(conv)
    made = total(first, second, fits=other in m and size is not None and None not in size and size == m.shape(other))
    if isinstance(made, str):
        m.refuse(made)
    m.require(made.size <= first.size + (second.size if other in m else 0), "their sum would take more multiplications")
    result = convolution(m, new, m[x], made, w)
    return new.Add(result, m[between]) if between in m else result


def _channels(m: Match, like: Taps) -> Taps:
    """The summand that is x itself, or x with a factor and a summand for each channel."""
    shape, spatial = m.shape(x), len(like.kernel)
    m.require(shape is not None and len(shape) == spatial + 2, "the shape of its input is not known")
    m.require(shape is not None and shape[1] == like.inputs, "the channels of its input are not known")
    if normal in m:
        return scaling(*normalisation(m, normal, like.inputs), spatial)
    if multiple in m:
        return scaling(channelwise(m, factor, spatial + 2, like.inputs), None, spatial)
    return scaling(np.ones(like.inputs), None, spatial)
