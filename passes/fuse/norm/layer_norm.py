"""LayerNormalization."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, Value, rule
from graphopt.ir.types import Tensor
from graphopt.rewrite.pattern import Either, Node, Pattern
from passes.fuse.guards import number, takes
from passes.fuse.norm.axes import last, ones, operand
from passes.fuse.norm.pieces import inverse_root, mean, scaled, square, standardised

x, eps, gamma, beta = Value("x"), Const("epsilon"), Value("scale"), Value("bias")


def deviation() -> Node:
    """The deviation from the mean."""
    return x - mean(x)


def tensorflow(rate: Pattern) -> Either:
    """The same, as TensorFlow writes it: rate x + (beta - rate mean(x))."""
    return x * rate + (beta - mean(x) * rate) | x * rate - mean(x) * rate


plain = scaled(deviation, eps, gamma) | standardised(deviation, eps)
rate = inverse_root(mean(square(deviation)) + eps)


@rule(plain + beta | tensorflow(rate * gamma) | tensorflow(rate) | plain, numerics=Close(32), opset=17)
def layer_norm(m: Match, new: Builder) -> Tensor:
    """LayerNormalization(x) is gamma (x - mean(x)) / sqrt(var(x) + eps) + beta, over the last axes of x."""
    return layer_normalization(m, new)


def layer_normalization(m: Match, new: Builder) -> Tensor:
    """The operator for a match that binds `x`, `eps` and perhaps `gamma` and `beta`. Raises Refused."""
    takes(m, x, "LayerNormalization")
    dims = last(m, x)
    scale = operand(m, gamma, dims) if gamma in m else ones(m, dims)
    shift = operand(m, beta, dims) if beta in m else None
    return new.LayerNormalization(m[x], scale, shift, axis=-len(dims), epsilon=number(m, eps))
