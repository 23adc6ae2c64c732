"""Normalisations and Softmax that an exporter spelled out, as the operators they stand for."""

from __future__ import annotations

from passes.fuse.norm.group_norm import group_norm
from passes.fuse.norm.instance_norm import instance_norm
from passes.fuse.norm.layer_norm import layer_norm
from passes.fuse.norm.layer_norm_mixed import layer_norm_mixed
from passes.fuse.norm.log_softmax import log_softmax
from passes.fuse.norm.reduce_l2 import reduce_l2, reduce_sum_square
from passes.fuse.norm.rms_norm import rms_norm, rms_norm_mixed
from passes.fuse.norm.softmax import softmax

RULES = (
    layer_norm, layer_norm_mixed, rms_norm, rms_norm_mixed, instance_norm, group_norm, softmax, log_softmax, reduce_l2,
    reduce_sum_square,
)  # fmt: skip
"""All rules, the more particular before the more general."""

__all__ = [
    "RULES",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "layer_norm_mixed",
    "log_softmax",
    "reduce_l2",
    "reduce_sum_square",
    "rms_norm",
    "rms_norm_mixed",
    "softmax",
]
