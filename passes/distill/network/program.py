"""A graph as steps in order, over numbered places for what they compute."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphopt.ir import walk
from graphopt.ir.types import Constant, Graph, Node, Tensor, subgraphs
from passes.distill.network.call import Call, NotDifferentiableError
from passes.distill.network.operators.quantized import round_trip, there_and_back
from passes.distill.network.operators.shaping import from_numpy
from passes.distill.network.operators.table import TABLE

OMITTED = -1
"""The place of an omitted input or output."""
BRANCH = ("", "If")

Values = list[Any]
"""What has been computed, by place: tensors and lists of them; None for what has not, or is not needed any more."""


@dataclass(frozen=True)
class Step:
    """A call: what it does to the values, the places it reads and writes, and those that nothing needs after it."""

    run: Callable[[Values], None]
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    done: tuple[int, ...] = ()


class Program:
    """The steps of a graph. What depends on nothing that varies has been computed once and for all.

    varying: tensors whose values are given at each run, besides the inputs of the graph. opsets: of the model.
    places: of all tensors. fixed: values that never change, by place.

    Raises NotDifferentiableError, naming them, for operators that are not in the table.
    """

    def __init__(self, graph: Graph, opsets: Mapping[str, int], varying: Iterable[Tensor] = ()) -> None:
        _check(graph)
        self.opsets = opsets
        self.places: dict[Tensor, int] = {}
        self.fixed: dict[int, Any] = {}
        self._varying = frozenset(map(self.place, (*graph.inputs, *varying)))
        self._steps = self._compiled(graph)
        self._keep = frozenset(map(self.place, graph.outputs))

    def place(self, tensor: Tensor) -> int:
        """The number of the place of a tensor."""
        if not tensor.name and not isinstance(tensor, Constant):
            return OMITTED
        return self.places.setdefault(tensor, len(self.places))

    def run(self, given: Mapping[Tensor, Any], wanted: Sequence[Tensor]) -> list[Any]:
        """The values of the wanted tensors, for those of the tensors that vary."""
        places = [self.places[tensor] for tensor in wanted]
        extra = frozenset(places) - self._keep
        values: Values = [None] * len(self.places)
        for place, value in self.fixed.items():
            values[place] = value
        for tensor, value in given.items():
            values[self.places[tensor]] = value
        for step in self._steps:
            step.run(values)
            for place in step.done:
                if place not in extra:
                    values[place] = None
        return [values[place] for place in places]

    # ---- inside ----

    def _compiled(self, graph: Graph) -> list[Step]:
        steps: list[Step] = []
        for node in graph.nodes:
            self._fix(node.inputs)
            if any(self.place(tensor) in self._varying for tensor in node.outputs):
                continue  # it only holds a weight
            step = self._branch(node) if (node.domain, node.op) == BRANCH else self._call(node)
            if all(place in self.fixed or place == OMITTED for place in step.reads):
                self._settle(step)
            else:
                steps.append(step)
        self._fix(graph.outputs)
        wanted = set(map(self.place, graph.outputs))
        return _released(_needed(steps, wanted), self.fixed.keys() | self._varying | wanted)

    def _fix(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            if isinstance(tensor, Constant) and self.place(tensor) not in self._varying | self.fixed.keys():
                self.fixed[self.place(tensor)] = from_numpy(tensor.values)

    def _settle(self, step: Step) -> None:
        """Run a step whose inputs never change."""
        values: Values = [None] * len(self.places)
        for place in step.reads:
            values[place] = self.fixed.get(place)
        step.run(values)
        self.fixed.update((place, values[place]) for place in step.writes if place != OMITTED)

    def _call(self, node: Node) -> Step:
        called = round_trip(node) or node
        operator = TABLE[node.domain, node.op] if called is node else there_and_back
        reads, writes = (tuple(map(self.place, tensors)) for tensors in (called.inputs, node.outputs))
        call = Call(called, self.opsets.get(called.domain, 1))

        def run(values: Values) -> None:
            found = operator(call, *(None if place == OMITTED else values[place] for place in reads))
            for place, value in zip(writes, found if isinstance(found, tuple | list) else (found,), strict=False):
                if place != OMITTED:
                    values[place] = value

        return Step(run, reads, writes)

    def _branch(self, node: Node) -> Step:
        """An If: the steps of the branch that is taken, on the same values."""
        captured = tuple(walk.captures(node))
        self._fix(captured)
        condition = self.place(node.inputs[0])
        writes = tuple(map(self.place, node.outputs))
        then, other = (self._inner(node.attrs[name]) for name in ("then_branch", "else_branch"))

        def run(values: Values) -> None:
            steps, results = then if bool(values[condition]) else other
            for place in self.fixed:
                if values[place] is None:
                    values[place] = self.fixed[place]
            for step in steps:
                step.run(values)
            for place, result in zip(writes, results, strict=True):
                values[place] = values[result]

        return Step(run, (condition, *map(self.place, captured)), writes)

    def _inner(self, graph: Graph) -> tuple[list[Step], tuple[int, ...]]:
        return self._compiled(graph), tuple(map(self.place, graph.outputs))


def _needed(steps: Sequence[Step], wanted: Collection[int]) -> list[Step]:
    """The steps without those whose results nobody reads."""
    read, found = set(wanted), []
    for step in reversed(steps):
        if read.intersection(step.writes):
            read.update(step.reads)
            found.append(step)
    return found[::-1]


def _released(steps: Sequence[Step], keep: Collection[int]) -> list[Step]:
    """The same steps, each with the places of which it is the last reader."""
    seen, found = set(keep), []
    for step in reversed(steps):
        done = tuple(place for place in dict.fromkeys((*step.reads, *step.writes)) if place not in seen)
        seen.update(done)
        found.append(replace(step, done=tuple(place for place in done if place != OMITTED)))
    return found[::-1]


def _check(graph: Graph) -> None:
    used = dict.fromkeys((node.domain, node.op) for node in walk.nodes(graph))
    missing = [f"{domain}::{op}" if domain else op for domain, op in used if (domain, op) not in (*TABLE, BRANCH)]
    if missing:
        raise NotDifferentiableError(
            f"the network cannot be trained: there is no PyTorch for {', '.join(sorted(missing))}"
        )
    held = next((node for node in walk.nodes(graph) if (node.domain, node.op) != BRANCH and any(subgraphs(node))), None)
    if held is not None:
        raise NotDifferentiableError(f"the network cannot be trained: {held!r} holds a graph")
