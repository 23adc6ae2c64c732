"""A residual sum and its LayerNormalization."""

from __future__ import annotations

from collections.abc import Mapping

from graphopt import Builder, Close, Match, Opt, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.rewrite.pattern import Node
from passes.blocks.residual.pieces import biased, normalised, plain, shared_biased, shared_plain

EMITS = "com.microsoft::SkipLayerNormalization"

gamma, beta = Value("scale"), Value("offset")
norm = op.LayerNormalization(biased | plain, gamma, Opt(beta))
shared = op.LayerNormalization(shared_biased | shared_plain, gamma, Opt(beta))


@rule(norm, numerics=Close(64), emits=EMITS)
def skip_layer_norm(m: Match, new: Builder) -> Tensor:
    """LayerNormalization(x + skip), or of x + bias + skip, is SkipLayerNormalization.

    ONNX Runtime does the same as it loads a model, where it knows the shapes. The contract is wide because it computes
    the variance as mean(x^2) - mean(x)^2, which cancels digits.
    """
    return normalised(m, new, norm, gamma, beta)[norm]


@rule(shared, numerics=Close(64), emits=EMITS)
def skip_layer_norm_sum(m: Match, new: Builder) -> Mapping[Node, Tensor]:
    """LayerNormalization(x + skip), whose sum something else needs too, is SkipLayerNormalization with two results."""
    return normalised(m, new, shared, gamma, beta)


@rule(shared, numerics=Close(64), emits=EMITS)
def skip_layer_norm_positions(m: Match, new: Builder) -> Mapping[Node, Tensor]:
    """LayerNormalization(x + positions), the positions the same for each batch, is SkipLayerNormalization."""
    return normalised(m, new, shared, gamma, beta, spread=True)
