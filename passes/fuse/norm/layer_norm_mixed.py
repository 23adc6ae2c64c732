"""LayerNormalization whose statistics are computed in float32, for a narrower input."""

from __future__ import annotations

from graphopt import Builder, Close, Match, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.norm.axes import casts
from passes.fuse.norm.layer_norm import beta, eps, gamma, layer_normalization, x
from passes.fuse.norm.pieces import mean, standardised, widened

early = standardised(lambda: widened(x) - mean(widened(x)), eps)
late = standardised(lambda: op.Cast(x - mean(x)), eps)
narrow = op.Cast(early | late)


@rule(narrow * gamma + beta | narrow + beta | narrow * gamma | narrow, numerics=Close(32), opset=17)
def layer_norm_mixed(m: Match, new: Builder) -> Tensor:
    """LayerNormalization between a Cast to float32 and a Cast back needs neither: it computes in float32 by itself."""
    casts(m, x, narrow)
    return layer_normalization(m, new)
