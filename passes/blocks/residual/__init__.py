"""Normalisations, and those of sums."""

from __future__ import annotations

from passes.blocks.residual.embed_layer_norm import embed_layer_norm
from passes.blocks.residual.simplified_norm import simplified_norm, simplified_norm_mixed
from passes.blocks.residual.skip_layer_norm import skip_layer_norm, skip_layer_norm_positions, skip_layer_norm_sum
from passes.blocks.residual.skip_rms_norm import skip_rms_norm, skip_rms_norm_sum

RULES = (
    simplified_norm,
    simplified_norm_mixed,
    skip_layer_norm,
    skip_layer_norm_sum,
    skip_layer_norm_positions,
    skip_rms_norm,
    skip_rms_norm_sum,
    embed_layer_norm,
)

__all__ = [
    "RULES",
    "embed_layer_norm",
    "simplified_norm",
    "simplified_norm_mixed",
    "skip_layer_norm",
    "skip_layer_norm_positions",
    "skip_layer_norm_sum",
    "skip_rms_norm",
    "skip_rms_norm_sum",
]
