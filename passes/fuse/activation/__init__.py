"""Activations that an exporter spelled out, as the operators they stand for."""

from __future__ import annotations

from passes.fuse.activation.clip import clip
from passes.fuse.activation.gelu import gelu
from passes.fuse.activation.gelu_tanh import gelu_tanh
from passes.fuse.activation.hard_sigmoid import hard_sigmoid
from passes.fuse.activation.hard_swish import hard_swish
from passes.fuse.activation.leaky_relu import leaky_relu
from passes.fuse.activation.mish import mish
from passes.fuse.activation.prelu import prelu
from passes.fuse.activation.relu import relu
from passes.fuse.activation.sigmoid import sigmoid
from passes.fuse.activation.softplus import softplus
from passes.fuse.activation.softsign import softsign
from passes.fuse.activation.swish import quick_gelu, silu

RULES = (
    gelu, gelu_tanh, quick_gelu, silu, hard_swish, hard_sigmoid, mish, softplus, sigmoid, softsign, leaky_relu, prelu,
    clip, relu,
)  # fmt: skip
"""All rules, the more particular before the more general."""

__all__ = [
    "RULES",
    "clip",
    "gelu",
    "gelu_tanh",
    "hard_sigmoid",
    "hard_swish",
    "leaky_relu",
    "mish",
    "prelu",
    "quick_gelu",
    "relu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
]
