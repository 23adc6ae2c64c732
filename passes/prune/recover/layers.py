"""Layers that are linear in their weights: what goes in as rows of a matrix, what comes out as rows of another.

A convolution is a matrix product of patches and weights; so is a transposed one, whose output places each gather what
their taps reach. Of the places of an output some are drawn, the same ones whenever they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from graphopt.ir.model import Model
from graphopt.ir.types import MATRIX, Array, Node, Tensor
from graphopt.ir.values import constant, given

CONVOLUTIONS = ("Conv", "ConvTranspose")


@dataclass(frozen=True)
class Place:
    """An input of a node."""

    node: Node
    position: int

    @property
    def tensor(self) -> Tensor:
        """What the node reads there."""
        return self.node.inputs[self.position]

    @property
    def values(self) -> Array:
        """The constant there."""
        held = constant(self.tensor)
        if held is None:
            raise LookupError(f"{self.tensor.name} is not constant")
        values: Array = held.values
        return values


@dataclass(frozen=True, eq=False)
class Layer:
    """A node that multiplies what it reads with constant weights.

    weight, bias: where its constants are; no bias: None. point: the tensor further on that it is a term of, with
    coefficient one: its output, or the sum of it and what comes along a shortcut.
    """

    node: Node
    weight: Place
    bias: Place | None
    point: Tensor

    @property
    def convolves(self) -> bool:
        """Whether it slides a kernel."""
        return self.node.op in CONVOLUTIONS

    @property
    def transposed(self) -> bool:
        """Whether its weights are laid out with the inputs first."""
        return self.node.op == "ConvTranspose"

    @property
    def groups(self) -> int:
        """Parts that share neither inputs nor outputs."""
        return int(self.node.attrs.get("group", 1)) if self.convolves else 1

    @property
    def reading(self) -> int:
        """The axis of the weights that is summed over."""
        return _READING.get(self.node.op, 0) if self.node.op != "Gemm" else int(self.node.attrs.get("transB", 0))

    def matrix(self, weights: Array) -> Array:
        """[groups, inputs x taps, outputs] of weights as the node holds them."""
        if not self.convolves:
            straight: Array = weights.T if self.reading else weights
            return straight[None]
        split = (self.groups, -1, *weights.shape[1:])
        order = (0, 1, *range(3, weights.ndim + 1), 2) if self.transposed else (0, *range(2, weights.ndim + 1), 1)
        cut: Array = weights.reshape(split).transpose(order)
        return cut.reshape(self.groups, -1, cut.shape[-1])

    def weights(self, matrix: Array, shape: tuple[int, ...]) -> Array:
        """The weights whose `matrix` this is."""
        if not self.convolves:
            straight: Array = matrix[0].T if self.reading else matrix[0]
            return straight
        if self.transposed:
            split = (self.groups, shape[0] // self.groups, *shape[2:], shape[1])
            order = (0, 1, len(split) - 1, *range(2, len(split) - 1))
        else:
            split = (self.groups, *shape[1:], shape[0] // self.groups)
            order = (0, len(split) - 1, *range(1, len(split) - 1))
        return matrix.reshape(split).transpose(order).reshape(shape)

    def places(self, output: Array) -> int:
        """How many rows an output has."""
        return int(output.size) // max(1, int(output.shape[1 if self.convolves else -1]))

    def outputs(self, values: Array, rows: Array) -> Array:
        """[rows, groups, outputs of a group] of the output, or of something of its shape."""
        if not self.convolves:
            return values.reshape(-1, 1, values.shape[-1])[rows]
        batch, *spots = np.unravel_index(rows, (values.shape[0], *values.shape[2:]))
        index: tuple[Any, ...] = (batch, slice(None), *spots)
        found: Array = values[index]
        return found.reshape(len(rows), self.groups, -1)

    def inputs(self, x: Array, output: tuple[int, ...], rows: Array) -> Array:
        """[rows, groups, inputs x taps] of what it reads, for an output of the shape `output`."""
        if not self.convolves:
            return x.reshape(-1, 1, x.shape[-1])[rows]
        batch, *spots = np.unravel_index(rows, (output[0], *output[2:]))
        rank = len(spots)
        kernel = self.weight.values.shape[2:]
        index: list[Any] = [batch.reshape(-1, *[1] * rank), slice(None)]
        inside = np.ones((len(rows), *[1] * rank), bool)
        for axis, spot in enumerate(spots):
            place, valid = self._taps(axis, spot, x.shape[2 + axis], output[2 + axis], kernel[axis])
            view = (len(rows), *[kernel[axis] if other == axis else 1 for other in range(rank)])
            index.append(place.reshape(view))
            inside = inside & valid.reshape(view)
        taken: Array = np.moveaxis(x[tuple(index)], -1, 1) * inside[:, None]
        return taken.reshape(len(rows), self.groups, -1)

    def _taps(self, axis: int, spots: Array, size: int, made: int, kernel: int) -> tuple[Array, Array]:
        """Where each tap of each output place reads along an axis ([rows, kernel]), and whether that is inside."""
        attrs, taps = self.node.attrs, np.arange(kernel)
        stride, dilation = _at(attrs, "strides", axis), _at(attrs, "dilations", axis)
        before = self._before(axis, size, made, (kernel - 1) * dilation + 1, stride)
        if self.transposed:
            reach = spots[:, None] + before - taps * dilation
            place, valid = reach // stride, reach % stride == 0
        else:
            place, valid = spots[:, None] * stride - before + taps * dilation, np.ones((1, kernel), bool)
        valid = valid & (place >= 0) & (place < size)
        return np.where(valid, place, 0), valid

    def _before(self, axis: int, size: int, made: int, extent: int, stride: int) -> int:
        """Padding at the start of an axis."""
        auto = self.node.attrs.get("auto_pad", "NOTSET")
        auto = auto.decode() if isinstance(auto, bytes) else auto
        if auto == "NOTSET":
            pads = self.node.attrs.get("pads")
            return int(pads[axis]) if pads else 0
        total = max((made - 1) * stride + extent - size, 0) if auto.startswith("SAME") else 0
        return total // 2 if auto == "SAME_UPPER" else total - total // 2


_READING = {"Conv": 1, "ConvTranspose": 0, "MatMul": 0}


def layers(model: Model) -> Iterator[Layer]:
    """The layers of a model whose weights nothing else reads, in the order of the graph."""
    for node in model.graph.nodes:
        layer = layer_of(node)
        if layer is not None:
            yield layer


def layer_of(node: Node) -> Layer | None:
    """The node as a layer; None if it is none that is understood here."""
    if node.domain or node.op not in (*CONVOLUTIONS, "Gemm", "MatMul") or not _plain(node):
        return None
    weight = Place(node, 1)
    held = constant(weight.tensor)
    if held is None or held.dtype != np.float32 or len(weight.tensor.outputs) > 1:
        return None
    if not node.op.startswith("Conv") and len(held.shape) != MATRIX:
        return None
    bias = Place(node, 2) if given(node, 2) is not None else None
    point, added = _sum_of(node.outputs[0])
    return Layer(node, weight, _own(bias or added), point)


def _plain(node: Node) -> bool:
    """Whether it multiplies and adds as it is, with nothing else to it."""
    attrs = node.attrs
    scaled = any(attrs.get(name, 1.0) != 1.0 for name in ("alpha", "beta"))
    turned = attrs.get("transA", 0) or (node.op == "ConvTranspose" and ("auto_pad" in attrs or "output_shape" in attrs))
    return not scaled and not turned


def _own(bias: Place | None) -> Place | None:
    """A bias that is a constant vector, of this layer alone."""
    if bias is None:
        return None
    held = constant(bias.tensor)
    usable = held is not None and len(held.shape) == 1 and held.size > 1 and len(bias.tensor.outputs) == 1
    return bias if usable and held is not None and held.dtype == np.float32 else None


def _sum_of(y: Tensor) -> tuple[Tensor, Place | None]:
    """The last of the sums that a tensor is a term of and nothing else reads, and the vector that is added first."""
    added = None
    while len(y.outputs) == 1 and y.outputs[0].op == "Add" and not y.outputs[0].domain:
        add = y.outputs[0]
        other = add.inputs[add.inputs[0] is y]
        if other is y:
            break
        if constant(other) is not None:
            added = added or Place(add, int(add.inputs[0] is y))
        y = add.outputs[0]
    return y, added


def _at(attrs: dict[str, Any], name: str, axis: int) -> int:
    values = attrs.get(name)
    return int(values[axis]) if values else 1


def rows_of(places: int, wanted: int, rng: np.random.Generator) -> Array:
    """Places of an output, drawn without repetition and sorted: `wanted` of them, or all."""
    if places <= wanted:
        return np.arange(places)
    return np.sort(rng.choice(places, wanted, replace=False))


def unknowns(layer: Layer) -> int:
    """Numbers that one output of the layer is fitted with."""
    shape: tuple[int, ...] = layer.weight.values.shape
    read = shape[layer.reading] // (layer.groups if layer.transposed else 1)
    return read * (prod(shape[2:]) if layer.convolves else 1)
