"""RMSNormalization."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.guards import number, takes
from passes.fuse.norm.axes import casts, last, ones, operand
from passes.fuse.norm.pieces import scaled, standardised, widened

x, eps, gamma = Value("x"), Const("epsilon"), Value("scale")
narrow = op.Cast(standardised(lambda: widened(x), eps))


@rule(scaled(lambda: x, eps, gamma) | standardised(lambda: x, eps), numerics=Close(16), opset=23)
def rms_norm(m: Match, new: Builder) -> Tensor:
    """RMSNormalization(x) is gamma x / sqrt(mean(x^2) + eps), over the last axes of x."""
    return rms_normalization(m, new)


@rule(narrow * gamma | narrow, numerics=Close(16), opset=23)
def rms_norm_mixed(m: Match, new: Builder) -> Tensor:
    """RMSNormalization between a Cast to float32 and a Cast back needs neither: it computes in float32 by itself."""
    casts(m, x, narrow)
    return rms_normalization(m, new)


def rms_normalization(m: Match, new: Builder) -> Tensor:
    """The operator for a match that binds `x`, `eps` and perhaps `gamma`. Raises Refused."""
    takes(m, x, "RMSNormalization")
    dims = last(m, x)
    scale = operand(m, gamma, dims) if gamma in m else ones(m, dims)
    return new.RMSNormalization(m[x], scale, axis=-len(dims), epsilon=number(m, eps))
