"""GroupNormalization as PyTorch writes it."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.guards import takes
from passes.fuse.norm.axes import channels, keeps_shape, per_channel

x, one, zero, gamma, beta = Value("x"), Const("ones"), Const("zeros"), Const("scale"), Const("bias")
normalised = op.InstanceNormalization(op.Reshape(x, Value("groups")), one, zero)


@rule(op.Reshape(normalised, op.Shape(x).shared() | Value("shape")) * gamma + beta, numerics=Close(256), opset=21)
def group_norm(m: Match, new: Builder) -> Tensor:
    """InstanceNormalization of groups of channels, scaled and shifted channel by channel, is GroupNormalization(x).

    The contract is wide because ONNX Runtime computes the variance as mean(x^2) - mean(x)^2, which cancels digits.
    """
    takes(m, x, "GroupNormalization")
    shape, grouped, groups = keeps_shape(m, x), m.shape(normalised) or (), m[one].size
    whole = None not in shape and len(grouped) > 1 and grouped[0] == shape[0] and grouped[1] == groups
    m.require(whole and channels(m, x) % groups == 0, "the Reshape does not put channels of one picture together")
    m.require((m[one] == 1).all() and not m[zero].any(), "the groups have a scale or a bias of their own")
    scale, shift = per_channel(m, gamma, x), per_channel(m, beta, x)
    epsilon = m.attr(normalised, "epsilon", 1e-5)
    return new.GroupNormalization(m[x], scale, shift, num_groups=groups, epsilon=epsilon)
