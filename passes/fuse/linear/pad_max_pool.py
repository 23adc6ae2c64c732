"""Pad followed by MaxPool."""

import math

from graphopt import Builder, Close, Match, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.padding import enlarged, every_window_has_input, pad_of, spatial, value

x = Value("x")
positive = op.one_of("Relu", "Sigmoid", "HardSigmoid", "Softmax", "Softplus", "Abs", "Exp")(Rest()).shared()
pad, pad_positive = pad_of(x), pad_of(positive)
pool, pool_positive = op.MaxPool(pad), op.MaxPool(pad_positive)


@rule(pool_positive | pool, numerics=Close(0))
def pad_max_pool(m: Match, new: Builder) -> Tensor:
    """Padding that is no larger than any number of the input never wins, like the padding of MaxPool itself."""
    padding, pooling, least = (pad, pool, -math.inf) if pool in m else (pad_positive, pool_positive, 0.0)
    m.require(not any(t.name for t in m[pooling].outputs[1:]), "the indices count the padding")
    m.require(value(m, padding) <= least, "the padding may be larger than the input")
    attrs = enlarged(m, pooling, spatial(m, padding, len(m.attr(pooling, "kernel_shape", [])) + 2))
    every_window_has_input(m, pooling, attrs["pads"])
    return new.MaxPool(m[padding].inputs[0], **attrs)
