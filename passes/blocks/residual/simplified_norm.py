"""Root mean square normalisation where the opset has none."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Match, rule
from graphopt.ir.types import Tensor
from passes.fuse.guards import number
from passes.fuse.norm import rms_norm, rms_norm_mixed
from passes.fuse.norm.axes import casts, last, ones, operand
from passes.fuse.norm.rms_norm import eps, gamma, narrow, x

OFFICIAL = 23
"""The first opset that has RMSNormalization."""
EMITS = "SimplifiedLayerNormalization"


@rule(rms_norm.pattern, numerics=Close(16), emits=EMITS)
def simplified_norm(m: Match, new: Builder) -> Tensor:
    """The quotient of gamma x and sqrt(mean(x^2) + eps) is SimplifiedLayerNormalization.

    ONNX Runtime has it in ai.onnx, although the standard does not.
    """
    return simplified(m, new)


@rule(rms_norm_mixed.pattern, numerics=Close(16), emits=EMITS)
def simplified_norm_mixed(m: Match, new: Builder) -> Tensor:
    """The same between a Cast to float32 and a Cast back needs neither: it computes in float32 by itself."""
    casts(m, x, narrow)
    return simplified(m, new)


def simplified(m: Match, new: Builder) -> Tensor:
    """The operator for a match that binds `x`, `eps` and perhaps `gamma`. Raises Refused."""
    m.require(m.opset < OFFICIAL, f"opset {m.opset} has RMSNormalization: the pass fuse writes it")
    m.require(m.dtype(x) != np.float64, "of float64 it keeps only part of the precision")
    dims = last(m, x)
    scale = operand(m, gamma, dims) if gamma in m else ones(m, dims)
    return new.SimplifiedLayerNormalization(m[x], scale, axis=-len(dims), epsilon=number(m, eps))
