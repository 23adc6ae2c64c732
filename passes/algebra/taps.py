"""Linear maps between pictures as weights at offsets, so that maps of different spellings can be added.

A convolution of stride s reads, for the output at p, the input at s p + offset, for offsets first, first + dilation,
... A BatchNormalization, a factor for each channel, and a tensor itself are convolutions with a single offset, 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from graphopt.ir.types import Array


class Taps(NamedTuple):
    """weights: (outputs, inputs of a group, *kernel). bias: (outputs,) or None.

    first: the offset of the first tap along each axis; strides, dilations: as of Conv; trim: how much longer the padded
    input is than its taps reach, which together with the strides decides the size of the output.
    """

    weights: Array
    bias: Array | None
    group: int
    first: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    trim: tuple[int, ...]

    @property
    def kernel(self) -> tuple[int, ...]:
        """Number of taps along each axis."""
        return tuple(map(int, self.weights.shape[2:]))

    @property
    def inputs(self) -> int:
        """Number of input channels."""
        return int(self.weights.shape[1]) * self.group

    @property
    def size(self) -> int:
        """Number of weights; multiplied by the pixels of the output these are the multiply-accumulates."""
        return int(self.weights.size)

    @property
    def pads(self) -> list[int]:
        """The attribute of Conv."""
        last = [f + (k - 1) * d for f, k, d in zip(self.first, self.kernel, self.dilations, strict=True)]
        return [*(-f for f in self.first), *(t + at for t, at in zip(self.trim, last, strict=True))]


def scaling(factors: Array, summands: Array | None, rank: int) -> Taps:
    """A factor and a summand for each channel of a picture with `rank` spatial axes."""
    ones, zeros = (1,) * rank, (0,) * rank
    return Taps(factors.reshape(-1, 1, *ones), summands, factors.size, zeros, ones, ones, zeros)


def total(a: Taps, b: Taps, *, fits: bool = False) -> Taps | str:
    """The map that computes the sum of both, or why no convolution does.

    fits: the results of both are known to be of one size, though one may leave out more of its input at the end.
    """
    if a.weights.shape[0] != b.weights.shape[0] or a.inputs != b.inputs:
        return "the two do not have the same channels"
    if a.strides != b.strides or (a.trim != b.trim and not fits):
        return "the two do not read the same places"
    dilations = tuple(d if k > 1 else e for d, e, k in zip(a.dilations, b.dilations, a.kernel, strict=True))
    first = tuple(map(min, a.first, b.first))
    ends = [tuple(f + (k - 1) * d for f, k, d in zip(t.first, t.kernel, dilations, strict=True)) for t in (a, b)]
    kernel = tuple((max(pair) - f) // d + 1 for *pair, f, d in zip(*ends, first, dilations, strict=True))
    group = math.gcd(a.group, b.group)
    weights = np.zeros((a.weights.shape[0], a.inputs // group, *kernel))
    for t in (a, b):
        mixed = any(k > 1 and d != e for k, d, e in zip(t.kernel, t.dilations, dilations, strict=True))
        steps = [(f - g) % d for f, g, d in zip(t.first, first, dilations, strict=True)]
        if mixed or any(steps):
            return "the taps of the two lie between each other"
        at = tuple(
            slice((f - g) // d, (f - g) // d + k)
            for f, g, d, k in zip(t.first, first, dilations, t.kernel, strict=True)
        )
        weights[(slice(None), slice(None), *at)] += dense(t.weights, t.group, group)
    biases = [t.bias for t in (a, b) if t.bias is not None]
    bias: Array | None = np.sum(biases, axis=0) if biases else None
    return Taps(weights, bias, group, first, a.strides, dilations, a.trim)


def dense(weights: Array, group: int, wanted: int) -> Array:
    """The weights of a grouped convolution, with zeros, as those of one with fewer groups; `wanted` divides `group`."""
    if group == wanted:
        return weights
    outputs, inputs = weights.shape[:2]
    merged = group // wanted
    spread = np.zeros((outputs, inputs * merged, *weights.shape[2:]), weights.dtype)
    for output in range(outputs):
        place = output * group // outputs % merged
        spread[output, place * inputs : (place + 1) * inputs] = weights[output]
    return spread
