"""The way from a constant factor or summand up to the constant weights of all that it is applied to."""

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

FARTHEST = 32
"""Operators that a constant may pass on its way, on all branches together."""


@dataclass
class Climb:
    """Writes the operators above a factor or summand anew, with it in the weights they begin at.

    kind: how the constant is applied. claimed: the operators that are written anew. Refuses through the match whatever
    lets no such constant through.
    """

    m: Match
    new: Builder
    kind: Kind
    claimed: list[Node] = field(default_factory=list)

    def moved(self, tensor: Tensor, factor: Array) -> Tensor:
        """The tensor with the constant, which has as many dimensions, applied to it."""
        held = values.constant(tensor)
        if held is not None:
            return self.weights(tensor, self.kind.apply(self.m.array(tensor), factor))
        node = tensor.producer
        if node is None:
            self.m.refuse(f"the {self.kind.name} would reach {tensor.name}, an input of the graph")
        readers = set(tensor.outputs)
        self.m.require(len(readers) == 1 and not self.m.is_output(tensor), f"{tensor.name} is used elsewhere too")
        self.m.require(len(self.claimed) < FARTHEST, "the weights are too far away")
        step = self.kind.steps.get(key_of(node.op, node.domain))
        if step is None:
            self.m.refuse(f"{node.op} lets no {self.kind.name} through")
        self.claimed.append(node)
        return step(self, node, factor)

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
        """The constant as a vector along an axis. Refuses one that varies along another."""
        other = [at for at, dim in enumerate(factor.shape) if dim != 1 and at != axis % factor.ndim]
        self.m.require(
            not other, f"the {self.kind.name} varies along axis {other and other[0]}, not only along the channels"
        )
        return factor.reshape(-1)

    def positive(self, factor: Array) -> None:
        """Refuses a factor that is not positive everywhere; summands may be anything."""
        if self.kind is SHIFT:
            return
        self.m.require((factor > 0).all(), "a factor that is not positive changes what is larger")

    def unit(self, node: Node, factor: Array, axes: list[int]) -> None:
        """Refuses a constant that varies along one of the axes."""
        varies = [axis for axis in axes if factor.shape[axis] != 1]
        self.m.require(not varies, f"the {self.kind.name} varies along an axis that {node.op} works on")


Step = Callable[[Climb, Node, Array], Tensor]


@dataclass(frozen=True)
class Kind:
    """What is moved: a factor or a summand. steps: operators that take it into their weights, or let it through."""

    name: str
    apply: Callable[[Array, Array], Array]
    steps: dict[str, Step] = field(default_factory=dict)


SCALE = Kind("factor", np.multiply)
SHIFT = Kind("summand", np.add)


def steps(kinds: tuple[Kind, ...], *ops: str) -> Callable[[Step], Step]:
    """Enter a function for these operators."""

    def enter(step: Step) -> Step:
        for kind in kinds:
            kind.steps.update(dict.fromkeys(ops, step))
        return step

    return enter


BOTH = (SCALE, SHIFT)
