"""Two convolutions in a row, one of them with kernel 1."""

from __future__ import annotations

import math

import numpy as np

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import Array, Tensor
from passes.algebra.convolution import convolution, taps
from passes.algebra.taps import Taps, dense

x, w, b, v, c = Value("x"), Const("w"), Const("b"), Const("v"), Const("c")
first = op.Conv(x, w, Opt(b))
second = op.Conv(first, v, Opt(c))


@rule(second, numerics=Close(128))
def conv_conv(m: Match, new: Builder) -> Tensor:
    """A convolution of a convolution, one of them of single pixels, is one convolution, where that multiplies less."""
    inner, outer = taps(m, first, w, b), taps(m, second, v, c)
    pixels = [all(k == 1 for k in one.kernel) and not any((*one.first, *one.trim)) for one in (inner, outer)]
    m.require(any(pixels), "neither of them is of single pixels")
    moves = any(stride > 1 for stride in inner.strides)
    m.require(pixels[1] or not moves, "the first leaves out pixels of which the second reads several")
    m.require(pixels[1] or inner.bias is None or not any(outer.pads), "the second pads what the first has shifted")
    wide = inner if pixels[1] else outer
    together = outer.weights.shape[0] * inner.inputs * math.prod(wide.kernel)
    m.require(together <= inner.size + outer.size, "together they would take more multiplications")
    strides = tuple(i * o for i, o in zip(inner.strides, outer.strides, strict=True))
    bias = outer.bias
    if inner.bias is not None:
        summed = dense(outer.weights, outer.group, 1).reshape(*outer.weights.shape[:1], inner.bias.size, -1).sum(axis=2)
        bias = summed @ inner.bias + (0 if bias is None else bias)
    weights = _product(inner, outer, wide.kernel)
    return convolution(m, new, m[x], Taps(weights, bias, 1, wide.first, strides, wide.dilations, wide.trim), w)


def _product(inner: Taps, outer: Taps, kernel: tuple[int, ...]) -> Array:
    """The weights of both, one after the other, without groups."""
    a, b = dense(inner.weights, inner.group, 1), dense(outer.weights, outer.group, 1)
    one, two = a.reshape(*a.shape[:2], -1), b.reshape(*b.shape[:2], -1)
    product = np.tensordot(two, one, axes=(1, 0)).transpose(0, 2, 1, 3)
    return np.asarray(product.reshape(b.shape[0], a.shape[1], *kernel))
