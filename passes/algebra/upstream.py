"""The way from a factor up to the constant weights of all that it multiplies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from graphopt.analysis.inference import key_of
from graphopt.ir import values
from graphopt.ir.dtypes import epsilon
from graphopt.ir.types import Array, Constant, Node, Tensor
from graphopt.rewrite import Builder, Match
from passes.fuse.linear.scaling import COPY, LARGEST
from passes.layout.operators.reshaping import runs

FARTHEST = 32
"""Operators that a factor may pass on its way, on all branches together."""
MATRIX = 2


@dataclass
class Climb:
    """Writes the operators above a factor anew, with the factor in the weights they begin at.

    claimed: the operators that are written anew. Refuses through the match whatever lets no factor through.
    """

    m: Match
    new: Builder
    claimed: list[Node] = field(default_factory=list)

    def scaled(self, tensor: Tensor, factor: Array) -> Tensor:
        """The tensor times the factor, which has as many dimensions."""
        held = values.constant(tensor)
        if held is not None:
            return self.weights(tensor, self.m.array(tensor) * factor)
        node = tensor.producer
        if node is None:
            self.m.refuse(f"the factor would reach {tensor.name}, an input of the graph")
        readers = set(tensor.outputs)
        self.m.require(len(readers) == 1 and not self.m.is_output(tensor), f"{tensor.name} is used elsewhere too")
        self.m.require(len(self.claimed) < FARTHEST, "the weights are too far away")
        describe = ABSORB.get(key_of(node.op, node.domain)) or PASS.get(key_of(node.op, node.domain))
        if describe is None:
            self.m.refuse(f"{node.op} lets no factor through")
        self.claimed.append(node)
        return describe(self, node, factor)

    def again(self, node: Node, *inputs: Tensor | None) -> Tensor:
        """The operator once more, with other inputs in front."""
        made: Tensor = self.new.node(node.op, *inputs, *node.inputs[len(inputs) :], domain=node.domain, **node.attrs)
        return made

    def weights(self, like: Tensor, numbers: Array) -> Tensor:
        """A constant with these numbers in the dtype of `like`, no larger than it. Refuses what does not fit."""
        held = values.constant(like)
        if held is None:
            self.m.refuse(f"{like.name} is not constant")
        with np.errstate(over="ignore", invalid="ignore"):
            cast = numbers.astype(held.dtype)
            error = np.abs(cast.astype(np.float64) - numbers).max(initial=0)
        self.m.require(
            error <= epsilon(held.dtype) * np.abs(numbers).max(initial=0), f"the numbers do not fit {held.dtype}"
        )
        self.m.require(numbers.size <= held.size or numbers.nbytes <= COPY, f"{like.name} would become larger")
        return Constant("?", cast)

    def array(self, tensor: Tensor) -> Array:
        """The values of weights that may be changed. Refuses those that are shared or too large."""
        held = values.constant(tensor)
        if held is None:
            self.m.refuse(f"the weights {tensor.name} are not constant")
        shared = len(set(tensor.outputs)) > 1 or self.m.is_output(tensor)
        self.m.require(not shared or held.nbytes <= COPY, "the weights are used elsewhere, and a second copy is large")
        self.m.require(held.nbytes <= LARGEST, "the weights are so large that folding would need too much memory")
        return self.m.array(tensor)

    def along(self, factor: Array, axis: int) -> Array:
        """The factor as a vector along an axis. Refuses one that varies along another."""
        other = [at for at, dim in enumerate(factor.shape) if dim != 1 and at != axis % factor.ndim]
        self.m.require(not other, f"the factor varies along axis {other and other[0]}, not only along the channels")
        return factor.reshape(-1)

    def positive(self, factor: Array) -> None:
        """Refuses a factor that is not positive everywhere."""
        self.m.require((factor > 0).all(), "a factor that is not positive changes what is larger")

    def unit(self, node: Node, factor: Array, axes: list[int]) -> None:
        """Refuses a factor that varies along one of the axes."""
        varies = [axis for axis in axes if factor.shape[axis] != 1]
        self.m.require(not varies, f"the factor varies along an axis that {node.op} works on")


Step = Callable[[Climb, Node, Array], Tensor]
ABSORB: dict[str, Step] = {}
"""Operators with constant weights that a factor of their result can be part of."""
PASS: dict[str, Step] = {}
"""Operators that let a factor through to their inputs."""


def _enter(table: dict[str, Step], *ops: str) -> Callable[[Step], Step]:
    def enter(step: Step) -> Step:
        table.update(dict.fromkeys(ops, step))
        return step

    return enter


@_enter(ABSORB, "Conv")
def _conv(climb: Climb, node: Node, factor: Array) -> Tensor:
    x, w, *bias = node.inputs
    s = climb.along(factor, 1)
    weights = climb.array(w)
    made = climb.weights(w, weights * s.reshape(-1, *(1,) * (weights.ndim - 1)))
    return climb.again(node, x, made, *(climb.weights(b, climb.array(b) * s) for b in bias if b.name))


@_enter(ABSORB, "MatMul")
def _matmul(climb: Climb, node: Node, factor: Array) -> Tensor:
    x, w = node.inputs
    climb.m.require(len(w.shape or ()) >= MATRIX, f"{w.name} is not known to be a matrix")
    return climb.again(node, x, climb.weights(w, climb.array(w) * climb.along(factor, -1)))


@_enter(ABSORB, "Gemm")
def _gemm(climb: Climb, node: Node, factor: Array) -> Tensor:
    x, w, *bias = node.inputs
    s = climb.along(factor, -1)
    weights = climb.array(w) * (s[:, None] if node.attrs.get("transB", 0) else s)
    return climb.again(
        node, x, climb.weights(w, weights), *(climb.weights(b, climb.array(b) * s) for b in bias if b.name)
    )


@_enter(ABSORB, "BatchNormalization")
def _batch(climb: Climb, node: Node, factor: Array) -> Tensor:
    plain = len(node.outputs) == 1 and not node.attrs.get("training_mode", 0) and climb.m.opset >= NO_SPATIAL
    climb.m.require(plain, "BatchNormalization is in training mode, or not per channel")
    x, gamma, beta = node.inputs[:3]
    s = climb.along(factor, 1)
    return climb.again(node, x, *(climb.weights(part, climb.array(part) * s) for part in (gamma, beta)))


NO_SPATIAL = 9


@_enter(ABSORB, "LayerNormalization")
def _layer(climb: Climb, node: Node, factor: Array) -> Tensor:
    x, gamma, *beta = node.inputs
    last = int(node.attrs.get("axis", -1)) % factor.ndim == factor.ndim - 1
    climb.m.require(last and len(node.outputs) == 1, "LayerNormalization is not along the last axis alone")
    s = climb.along(factor, -1)
    return climb.again(node, x, *(climb.weights(p, climb.array(p) * s) for p in (gamma, *beta) if p.name))


@_enter(PASS, "Relu", "LeakyRelu", "GlobalMaxPool")
def _rectified(climb: Climb, node: Node, factor: Array) -> Tensor:
    climb.positive(factor)
    return (
        _averaged(climb, node, factor)
        if node.op == "GlobalMaxPool"
        else climb.again(node, climb.scaled(node.inputs[0], factor))
    )


@_enter(PASS, "AveragePool", "GlobalAveragePool")
def _averaged(climb: Climb, node: Node, factor: Array) -> Tensor:
    climb.unit(node, factor, list(range(2, factor.ndim)))
    return climb.again(node, climb.scaled(node.inputs[0], factor))


@_enter(PASS, "MaxPool")
def _largest(climb: Climb, node: Node, factor: Array) -> Tensor:
    climb.positive(factor)
    climb.m.require(len(node.outputs) == 1, "MaxPool tells places too")
    return _averaged(climb, node, factor)


@_enter(PASS, "Transpose")
def _transpose(climb: Climb, node: Node, factor: Array) -> Tensor:
    perm = node.attrs.get("perm", list(range(factor.ndim))[::-1])
    return climb.again(node, climb.scaled(node.inputs[0], factor.transpose(np.argsort(perm))))


@_enter(PASS, "Reshape", "Flatten", "Squeeze", "Unsqueeze")
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
            climb.m.require(isinstance(after[at], int), "the factor varies along an axis of unknown length")
            moved = np.repeat(moved, int(after[at]), at) if moved.shape[at] == 1 else moved  # type: ignore[arg-type, call-overload]
        climb.m.require(all(isinstance(dim, int) for dim in inner), "the factor varies along an axis of unknown length")
        lengths += [int(dim) for dim in inner]  # type: ignore[arg-type]
    return climb.again(node, climb.scaled(node.inputs[0], moved.reshape(lengths)))


@_enter(PASS, "Concat")
def _concat(climb: Climb, node: Node, factor: Array) -> Tensor:
    axis = int(node.attrs["axis"]) % factor.ndim
    parts = [factor] * len(node.inputs)
    if factor.shape[axis] != 1:
        shapes = [climb.m.shape(tensor) for tensor in node.inputs]
        sizes = [dim for shape in shapes if shape is not None and isinstance(dim := shape[axis], int)]
        climb.m.require(len(sizes) == len(shapes), "the lengths of what is joined are not known")
        parts = np.split(factor, np.cumsum(sizes)[:-1], axis)
    return climb.again(node, *(climb.scaled(t, part) for t, part in zip(node.inputs, parts, strict=True)))


@_enter(PASS, "Add", "Sub")
def _sum(climb: Climb, node: Node, factor: Array) -> Tensor:
    shape = climb.m.shape(node.outputs[0])
    parts = []
    for tensor in node.inputs:
        held, own = values.constant(tensor), climb.m.shape(tensor)
        alike = own == shape and own is not None and None not in own
        climb.m.require(alike or held is not None, f"{tensor.name} is spread out by {node.op}")
        parts.append(
            climb.scaled(tensor, factor) if held is None else climb.weights(tensor, _row(climb, tensor, factor))
        )
    return climb.again(node, *parts)


def _row(climb: Climb, tensor: Tensor, factor: Array) -> Array:
    """A constant summand times the factor, without axes of length 1 in front."""
    made = climb.m.array(tensor) * factor
    while made.ndim > 1 and made.shape[0] == 1 and made.ndim > len(tensor.shape or ()):
        made = made[0]
    return made
