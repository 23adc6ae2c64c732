"""GELU by the hyperbolic tangent."""

from __future__ import annotations

import math

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.activation.pieces import half_product
from passes.fuse.guards import pointwise, takes

A, C = math.sqrt(2 / math.pi), 0.044715

x = Value("x")
cubic = x**3.0 * C | x * (x * x) * C | x * (x * x * C) | x * (x * (x * C)) | (x * x) * (x * C)
factor = x * x * C + 1.0 | x * (x * C) + 1.0 | x**2.0 * C + 1.0
u = (cubic + x) * A | x * A * factor | x * factor * A | x * (factor * A) | x * (x * x * (A * C) + A)
gate = op.Sigmoid(u * 2.0 | (cubic + x) * (2 * A))


@rule(half_product(x, op.Tanh(u) + 1.0) | x * gate, numerics=Close(16), opset=20)
def gelu_tanh(m: Match, new: Builder) -> Tensor:
    """x/2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) is Gelu(x) in its tanh approximation."""
    takes(m, x, "Gelu")
    pointwise(m, x)
    return new.Gelu(m[x], approximate="tanh")
