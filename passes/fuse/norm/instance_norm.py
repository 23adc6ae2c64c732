"""InstanceNormalization."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Const, Match, Value, rule
from graphopt.ir.types import Tensor
from graphopt.rewrite.pattern import Node
from passes.fuse.guards import number, takes
from passes.fuse.norm.axes import SPATIAL, axes, channels, keeps_shape, per_channel
from passes.fuse.norm.pieces import mean, scaled, standardised

x, eps, gamma, beta = Value("x"), Const("epsilon"), Const("scale"), Const("bias")


def deviation() -> Node:
    """The deviation from the mean."""
    return x - mean(x)


plain = scaled(deviation, eps, gamma) | standardised(deviation, eps)


@rule(plain + beta | plain, numerics=Close(64), opset=6)
def instance_norm(m: Match, new: Builder) -> Tensor:
    """InstanceNormalization(x) is gamma (x - mean(x)) / sqrt(var(x) + eps) + beta, over all axes but N and C."""
    takes(m, x, "InstanceNormalization")
    rank, count = len(keeps_shape(m, x)), channels(m, x)
    m.require(axes(m, x) == tuple(range(SPATIAL, rank)), "the mean does not go over all but N and C")
    scale = per_channel(m, gamma, x) if gamma in m else np.ones(count)
    shift = per_channel(m, beta, x) if beta in m else np.zeros(count)
    return new.InstanceNormalization(m[x], scale, shift, epsilon=number(m, eps))
