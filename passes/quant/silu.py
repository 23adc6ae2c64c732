"""SiLU for integer kernels: taken apart into operators that have one, or marked to become two straight lines.

No integer kernel computes x sigmoid(x): it takes a Sigmoid and a product, in int8 no faster than SiLU in floats. Two
straight lines take a third of that, and differ from it: see `activations.silu_lines`.
"""

from __future__ import annotations

from graphopt import Builder, Close, Match, Value, op, rule
from graphopt.ir.types import Tensor

x = Value("x")
MICROSOFT = op.domain("com.microsoft")
product, quick, swish = x * op.Sigmoid(x), MICROSOFT.QuickGelu(x), op.Swish(x)
QUICK_SLOPE, SLOPE = 1.702, 1.0
"""The slopes of QuickGelu and Swish where nothing else is said."""
SPATIAL = 2


@rule(quick, numerics=Close(8))
def quick_gelu_apart(m: Match, new: Builder) -> Tensor:
    """QuickGelu(x) is x sigmoid(slope x)."""
    return _apart(m, new, m.attr(quick, "alpha", QUICK_SLOPE))


@rule(swish, numerics=Close(8))
def swish_apart(m: Match, new: Builder) -> Tensor:
    """Swish(x) is x sigmoid(slope x)."""
    return _apart(m, new, m.attr(swish, "alpha", SLOPE))


def _apart(m: Match, new: Builder, slope: float) -> Tensor:
    return new.Mul(m[x], new.Sigmoid(m[x] if slope == 1 else new.Mul(m[x], slope)))


@rule(product, numerics=Close(8), emits="com.microsoft::QuickGelu")
def silu_of_pixels(m: Match, new: Builder) -> Tensor:
    """The SiLU of what a convolution alone computes is one call, QuickGelu with the slope 1, which lines replace."""
    tensor, shape = m.tensor(x), m.shape(x)
    m.require(tensor.producer is not None and tensor.producer.op == "Conv", "no convolution computes its operand")
    m.require(len(tensor.outputs) == len(m.nodes), "others read its operand too")
    m.require(shape is not None and set(shape[SPATIAL:]) != {1}, "it takes no time: there is one pixel")
    made: Tensor = new.node("QuickGelu", m[x], domain="com.microsoft", alpha=1.0)
    return made


APART = (quick_gelu_apart, swish_apart)
