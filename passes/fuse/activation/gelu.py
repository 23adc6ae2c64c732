"""GELU by the error function."""

from __future__ import annotations

import math

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.activation.pieces import half_product
from passes.fuse.guards import pointwise, takes

x = Value("x")
bell = op.Erf(x / math.sqrt(2) | x * math.sqrt(0.5)) + 1.0


@rule(half_product(x, bell), numerics=Close(8), opset=20)
def gelu(m: Match, new: Builder) -> Tensor:
    """x/2 (1 + erf(x / sqrt 2)) is Gelu(x)."""
    takes(m, x, "Gelu")
    pointwise(m, x)
    return new.Gelu(m[x])
