"""Normalisations, and those of sums."""

from __future__ import annotations

from passes.blocks.residual.simplified_norm import simplified_norm, simplified_norm_mixed
from passes.blocks.residual.skip_layer_norm import skip_layer_norm, skip_layer_norm_positions, skip_layer_norm_sum
from passes.blocks.residual.skip_rms_norm import skip_rms_norm, skip_rms_norm_sum

RULES = (simplified_norm, simplified_norm_mixed, skip_layer_norm, skip_rms_norm, skip_rms_norm_sum)
OPTIONAL = (skip_layer_norm_sum, skip_layer_norm_positions)
"""On the CPU, SkipLayerNormalization takes two to six times as long as Add and LayerNormalization, which ONNX Runtime
leaves as they are where the sum is used elsewhere, as in every network that normalises before its blocks, or where one
summand is the same for each batch."""

__all__ = [
    "OPTIONAL",
    "RULES",
    "simplified_norm",
    "simplified_norm_mixed",
    "skip_layer_norm",
    "skip_layer_norm_positions",
    "skip_layer_norm_sum",
    "skip_rms_norm",
    "skip_rms_norm_sum",
]
