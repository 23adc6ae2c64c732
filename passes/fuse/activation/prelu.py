"""PRelu as Keras and TensorFlow write it."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.fuse.activation.pieces import half_product, negative, rectified
from passes.fuse.guards import broadcasts, takes

x, slope = Value("x"), Const("slope")
mirrored = rectified(negative(x)) * slope
added = rectified(x) + mirrored
below = x - op.Abs(x)
halves, doubled = rectified(x) + half_product(below, slope), rectified(x) + below * slope
lower = rectified(x) + op.Min(x, 0.0) * slope


@rule(rectified(x) - mirrored | added | halves | doubled | lower, numerics=Close(1), opset=7)
def prelu(m: Match, new: Builder) -> Tensor:
    """max(x, 0) - a max(-x, 0), or max(x, 0) + a (x - |x|) / 2, is PRelu(x) with the slopes a."""
    takes(m, x, "PRelu")
    m.require(broadcasts(m, slope, x), "the slopes do not broadcast to x")
    slopes = -m[slope] if added in m else 2 * m[slope] if doubled in m else m[slope]
    return new.LeakyRelu(m[x], alpha=slopes.item()) if slopes.size == 1 else new.PRelu(m[x], slopes)
