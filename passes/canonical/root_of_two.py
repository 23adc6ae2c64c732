"""The root of two as some networks have it: 1.41421, of six digits."""

from __future__ import annotations

import math

import numpy as np

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.canonical.operands import NUMPY_BROADCASTING

ROOT, HALF = 1.41421, 0.70711

x = Value("x")
bell = op.Erf(x / ROOT | x * (1 / ROOT) | x * HALF) + 1.0


@rule(bell, numerics=Close(64), opset=NUMPY_BROADCASTING)
def root_of_two(m: Match, new: Builder) -> Tensor:
    """1 + erf(x / 1.41421), a GELU to six digits, is 1 + erf(x / sqrt 2), which fuses.

    The quotient moves by 2.5 millionths of itself, with 0.70711 by 4.6 millionths, and erf by no more, as z erf'(z) is
    at most erf(z): 39 rounding errors of float32, unless every 1 + erf is so small that its digits cancel anyway.
    """
    m.require(m.dtype(x) == np.float32, "only float32 tells six digits from all, and cannot tell many more")
    return new.Add(new.Erf(new.Mul(m[x], math.sqrt(0.5))), 1.0)
