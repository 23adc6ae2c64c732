"""Pad followed by MaxPool."""

import numpy as np

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.linear.padding import enlarged, every_window_has_input, pad_of, spatial, value

NOT_NEGATIVE = frozenset({"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Exp", "Softplus"})

x = Value("x")
pad = pad_of(x)
pool = op.MaxPool(pad)


@rule(pool, numerics=Close(0))
def pad_max_pool(m: Match, new: Builder) -> Tensor:
    """Padding that is no larger than any number of the input never wins, like the padding of MaxPool itself."""
    m.require(not any(t.name for t in m[pool].outputs[1:]), "the indices count the padding")
    m.require(value(m, pad) <= _least(m[x]), "the padding may be larger than the input")
    attrs = enlarged(m, pool, spatial(m, pad, len(m.attr(pool, "kernel_shape", [])) + 2))
    every_window_has_input(m, pool, attrs["pads"])
    return new.MaxPool(m[x], **attrs)


def _least(x: Tensor) -> float:
    """A number that no element of `x` is below."""
    positive = x.producer is not None and x.producer.op in NOT_NEGATIVE and not x.producer.domain
    return 0.0 if positive else -np.inf
