"""Operators that let a factor or summand of their result through to their inputs."""

from __future__ import annotations

import numpy as np

from graphopt.analysis.symbolic import Scalar
from graphopt.ir import values
from graphopt.ir.types import Array, Node, Tensor
from passes.algebra.upstream import BOTH, SCALE, SHIFT, Climb, steps
from passes.layout.operators.reshaping import runs


@steps((SCALE,), "Relu", "LeakyRelu")
def _rectified(climb: Climb, node: Node, factor: Array) -> Tensor:
    climb.positive(factor)
    return climb.again(node, climb.moved(node.inputs[0], factor))


@steps((SCALE,), "AveragePool")
@steps(BOTH, "GlobalAveragePool")
def _averaged(climb: Climb, node: Node, numbers: Array) -> Tensor:
    climb.unit(node, numbers, list(range(2, numbers.ndim)))
    return climb.again(node, climb.moved(node.inputs[0], numbers))


@steps(BOTH, "MaxPool", "GlobalMaxPool")
def _largest(climb: Climb, node: Node, numbers: Array) -> Tensor:
    climb.positive(numbers)
    climb.m.require(len(node.outputs) == 1, "MaxPool tells places too")
    return _averaged(climb, node, numbers)


@steps(BOTH, "Transpose")
def _transpose(climb: Climb, node: Node, factor: Array) -> Tensor:
    perm = node.attrs.get("perm", list(range(factor.ndim))[::-1])
    return climb.again(node, climb.moved(node.inputs[0], factor.transpose(np.argsort(perm))))


@steps(BOTH, "Reshape", "Flatten", "Squeeze", "Unsqueeze")
def _reshape(climb: Climb, node: Node, factor: Array) -> Tensor:
    before, after = (climb.m.shapes.dims(t) for t in (node.inputs[0], node.outputs[0]))
    paired = None if before is None or after is None else runs(before, after)
    if before is None or after is None or paired is None:
        climb.m.refuse(f"the shapes around {node.op} are not known")
    source, result, universe = paired
    lengths: list[int] = []
    moved = factor
    for letter in universe:
        inner = [dim for dim, held in zip(before, source, strict=True) if held == letter]
        outer = [at for at, held in enumerate(result) if held == letter]
        if all(factor.shape[at] == 1 for at in outer):
            lengths += [1] * len(inner)
            continue
        for at in outer:
            length = _length(climb, after[at])
            moved = np.repeat(moved, length, at) if moved.shape[at] == 1 else moved
        lengths += [_length(climb, dim) for dim in inner]
    return climb.again(node, climb.moved(node.inputs[0], moved.reshape(lengths)))


def _length(climb: Climb, dim: Scalar | None) -> int:
    if not isinstance(dim, int):
        climb.m.refuse("it varies along an axis of unknown length")
    return dim


@steps(BOTH, "Concat")
def _concat(climb: Climb, node: Node, factor: Array) -> Tensor:
    axis = int(node.attrs["axis"]) % factor.ndim
    parts = [factor] * len(node.inputs)
    if factor.shape[axis] != 1:
        shapes = [climb.m.shape(tensor) for tensor in node.inputs]
        sizes = [dim for shape in shapes if shape is not None and isinstance(dim := shape[axis], int)]
        climb.m.require(len(sizes) == len(shapes), "the lengths of what is joined are not known")
        parts = np.split(factor, np.cumsum(sizes)[:-1], axis)
    return climb.again(node, *(climb.moved(t, part) for t, part in zip(node.inputs, parts, strict=True)))


@steps((SCALE,), "Add", "Sub")
def _sum(climb: Climb, node: Node, factor: Array) -> Tensor:
    shape = climb.m.shape(node.outputs[0])
    parts = []
    for tensor in node.inputs:
        held, own = values.constant(tensor), climb.m.shape(tensor)
        alike = own == shape and own is not None and None not in own
        climb.m.require(alike or held is not None, f"{tensor.name} is spread out by {node.op}")
        parts.append(
            climb.moved(tensor, factor) if held is None else climb.weights(tensor, _spread(climb, tensor, factor))
        )
    return climb.again(node, *parts)


def _spread(climb: Climb, tensor: Tensor, factor: Array) -> Array:
    """A constant summand with the constant applied to it, without axes of length 1 in front."""
    made = climb.kind.apply(climb.m.array(tensor), factor)
    while made.ndim > 1 and made.shape[0] == 1 and made.ndim > len(tensor.shape or ()):
        made = made[0]
    return made


@steps((SHIFT,), "Add")
def _summand(climb: Climb, node: Node, summand: Array) -> Tensor:
    """A constant that is added already takes another in."""
    held = [values.constant(tensor) is not None for tensor in node.inputs]
    climb.m.require(any(held), "neither of what is added is constant")
    place = held.index(True)
    other = node.inputs[1 - place]
    alike = climb.m.shape(other) == climb.m.shape(node.outputs[0])
    climb.m.require(alike, f"{other.name} is spread out by Add")
    climb.array(node.inputs[place])
    made = climb.weights(node.inputs[place], _spread(climb, node.inputs[place], summand))
    return climb.again(node, *((made, other) if place == 0 else (other, made)))
