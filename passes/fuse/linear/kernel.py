"""The weights of a Conv or ConvTranspose of any rank and group, seen by their channels."""

from __future__ import annotations

from typing import NamedTuple

from graphopt.ir.types import Array, Tensor
from graphopt.rewrite import Builder, Const, Match, Value
from graphopt.rewrite.pattern import Node
from graphopt.rewrite.tape import Operand
from passes.fuse.linear.scaling import stored

LEAST_RANK = 3
"""A batch axis, a channel axis, and at least one spatial axis."""


class Kernel(NamedTuple):
    """Shape of the weights: (outputs, inputs of a group, ...), or (inputs, outputs of a group, ...) if transposed."""

    shape: tuple[int, ...]
    group: int
    transposed: bool

    @property
    def rank(self) -> int:
        """Number of dimensions of weights, input and output."""
        return len(self.shape)

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        return self.shape[1] * self.group if self.transposed else self.shape[0]

    @property
    def inputs(self) -> int:
        """Number of input channels."""
        return self.shape[0] if self.transposed else self.shape[1] * self.group

    def scale_outputs(self, weights: Array, factors: Array) -> Array:
        """The weights with each output channel multiplied by its factor."""
        return self._scaled(weights, factors, 2 if self.transposed else 1)

    def scale_inputs(self, weights: Array, factors: Array) -> Array:
        """The weights with each input channel multiplied by its factor."""
        return self._scaled(weights, factors, 1 if self.transposed else 2)

    def _scaled(self, weights: Array, factors: Array, axis: int) -> Array:
        """axis: where the channels lie in (group, shape[0] / group, shape[1], ...)."""
        split = (self.group, self.shape[0] // self.group, *self.shape[1:])
        along = [1] * len(split)
        along[0], along[axis] = self.group, split[axis]
        return (weights.reshape(split) * factors.reshape(along)).reshape(self.shape)


def kernel(m: Match, conv: Node, w: Value) -> Kernel:
    """The weights `w` of the matched Conv or ConvTranspose. Refuses weights whose shape is not known or not sound."""
    shape = tuple(dim for dim in m.shape(w) or () if isinstance(dim, int))
    group = int(m.attr(conv, "group", 1))
    m.require(len(shape) == m.rank(w) and len(shape) >= LEAST_RANK, "the shape of the weights is not known")
    m.require(group > 0 and shape[0] % group == 0, f"the channels do not divide into {group} groups")
    return Kernel(shape, group, m[conv].op == "ConvTranspose")


def convolution(m: Match, new: Builder, conv: Node, x: Tensor, weights: Operand, bias: Operand) -> Tensor:
    """The matched Conv or ConvTranspose once more, with other operands."""
    made: Tensor = new.node(m[conv].op, x, weights, bias, **m[conv].attrs)
    return made


def unpadded(m: Match, conv: Node) -> bool:
    """Whether the matched operator reads nothing but its input: no padding of any kind."""
    return m.attr(conv, "auto_pad", "NOTSET") in {"NOTSET", "VALID"} and not any(m.attr(conv, "pads", ()))


def shifted(m: Match, conv: Node, k: Kernel, w: Const, b: Const, summands: Array) -> Operand:
    """The bias that stands for summands, one for each input channel, on the input of the matched convolution.

    Refuses summands other than 0 where the operator sums up padding, or parts of its weights at the borders.
    """
    if not summands.any():
        return m.tensor(b) if b in m else None
    m.require(not k.transposed, "at its borders a ConvTranspose adds up only part of the weights")
    m.require(unpadded(m, conv), "the convolution pads its input with zeros, to which nothing is added")
    return stored(m, k.scale_inputs(m[w], summands).reshape(k.outputs, -1).sum(axis=1) + m.get(b, 0.0), w)
