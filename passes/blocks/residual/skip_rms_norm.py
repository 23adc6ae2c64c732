"""A residual sum and its root mean square normalisation."""

from __future__ import annotations

from collections.abc import Mapping

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.rewrite.pattern import Node
from passes.blocks.residual.pieces import biased, normalised, plain, shared_biased, shared_plain

EMITS = "com.microsoft::SkipSimplifiedLayerNormalization"

gamma = Value("scale")
simplified = op.one_of("SimplifiedLayerNormalization", "RMSNormalization")
norm, shared = simplified(biased | plain, gamma), simplified(shared_biased | shared_plain, gamma)


@rule(norm, numerics=Close(32), emits=EMITS)
def skip_rms_norm(m: Match, new: Builder) -> Tensor:
    """RMSNormalization(x + skip), or of x + bias + skip, is SkipSimplifiedLayerNormalization."""
    return normalised(m, new, norm, gamma)[norm]


@rule(shared, numerics=Close(32), emits=EMITS)
def skip_rms_norm_sum(m: Match, new: Builder) -> Mapping[Node, Tensor]:
    """RMSNormalization(x + skip), whose sum something else needs too, is the same operator with two results."""
    return normalised(m, new, shared, gamma)
