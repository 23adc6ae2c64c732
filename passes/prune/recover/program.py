"""A model of which parts run, up to some of its tensors, with other weights than it has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, numpy_helper

from graphopt.data.source import Data
from graphopt.errors import UsageError
from graphopt.ir.model import Model
from graphopt.ir.types import Array
from graphopt.measure.provider import Session, open_session

HELD = 1 << 28
"""Bytes of samples up to which they are held in memory; more are read anew for every pass over them."""


class Program:
    """A model as it was when this was made.

    weights: other values for some of its constants, by name, which every session has from then on.
    """

    def __init__(self, model: Model) -> None:
        self.proto = model.to_proto()
        self.weights: dict[str, Array] = {}
        graph = self.proto.graph
        self._makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
        self._held = {tensor.name: tensor for tensor in graph.initializer}

    def fingerprint(self) -> str:
        """A text that changes with the model."""
        return hashlib.sha256(self.proto.SerializeToString(deterministic=True)).hexdigest()

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs of the model."""
        return [output.name for output in self.proto.graph.output]

    def session(self, wanted: Sequence[str], weights: Mapping[str, Array] | None = None) -> Session:
        """Loads as much of the model as `wanted` takes, with `weights` besides `self.weights`. Raises ModelError."""
        changed = self.weights | dict(weights or {})
        proto = ModelProto()
        proto.CopyFrom(self._shell())
        graph = proto.graph
        nodes, needed = self._needed(wanted, changed)
        graph.node.extend(nodes)
        graph.initializer.extend(self._held[name] for name in needed if name in self._held and name not in changed)
        graph.initializer.extend(_tensor(name, changed[name]) for name in needed if name in changed)
        graph.output.extend(ValueInfoProto(name=name) for name in dict.fromkeys(wanted))
        return open_session(proto.SerializeToString(), name="a part of the model")

    def _shell(self) -> ModelProto:
        """Everything but nodes, weights and outputs."""
        shell = ModelProto()
        for field, value in self.proto.ListFields():
            if field.name == "graph":
                continue
            if hasattr(value, "extend"):
                getattr(shell, field.name).extend(value)
            else:
                setattr(shell, field.name, value)
        shell.graph.name = self.proto.graph.name or "part"
        shell.graph.input.extend(self.proto.graph.input)
        return shell

    def _needed(self, wanted: Iterable[str], changed: Mapping[str, Array]) -> tuple[list[NodeProto], dict[str, None]]:
        """The nodes that these tensors take, in order, and the names that they read."""
        needed: dict[str, None] = {}
        chosen: set[int] = set()
        waiting = list(wanted)
        while waiting:
            name = waiting.pop()
            if name in needed:
                continue
            needed[name] = None
            index = self._makers.get(name)
            if index is not None and name not in changed and index not in chosen:
                chosen.add(index)
                waiting += _reads(self.proto.graph.node[index])
        return [self.proto.graph.node[index] for index in sorted(chosen)], needed


class Feeds:
    """Samples of which no labels are looked at, batch by batch.

    limit: at most so many. Raises UsageError for data without samples.
    """

    def __init__(self, data: Data, limit: int) -> None:
        self.data, self.limit = data, limit
        self._kept: list[Mapping[str, Array]] | None = None
        self.count = sum(1 if batch.whole else batch.count for batch in data.batches(None, limit))
        if not self.count:
            raise UsageError(f"{data.name} holds no samples to calibrate with")

    def __iter__(self) -> Iterator[Mapping[str, Array]]:
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[Mapping[str, Array]] = []
        size = 0
        for batch in self.data.batches(None, self.limit):
            size += sum(array.nbytes for array in batch.feeds.values())
            if size <= HELD:
                kept.append(batch.feeds)
            yield batch.feeds
        if size <= HELD:
            self._kept = kept

    def first(self, samples: int) -> Feeds:
        """So many of them, from the start."""
        return Feeds(self.data, min(samples, self.limit))


def _reads(node: NodeProto) -> Iterator[str]:
    """The names that a node reads, and those that graphs inside it may."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from _inside(graph)


def _inside(graph: GraphProto) -> Iterator[str]:
    yield from (output.name for output in graph.output)
    for node in graph.node:
        yield from _reads(node)


def _tensor(name: str, array: Array) -> TensorProto:
    return numpy_helper.from_array(array, name)
