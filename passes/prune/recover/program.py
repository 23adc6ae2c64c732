"""A model of which parts run, up to some of its tensors, with other weights than it has."""

from __future__ import annotations

import functools
import hashlib
import itertools
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, numpy_helper

from graphopt.data.source import Data
from graphopt.errors import UsageError
from graphopt.ir.dtypes import elem_type
from graphopt.ir.model import Model
from graphopt.ir.reader import load
from graphopt.ir.scratch import LEAST
from graphopt.ir.types import Array
from graphopt.ir.weights import locate
from graphopt.ir.writer import save
from graphopt.measure.provider import Session, open_session

PACKED = 1 << 27
"""Bytes of a model up to which a session may have weights twice, once in the layout that its kernels like best."""
HELD = 1 << 28
"""Bytes of samples up to which they are held in memory; more are read anew for every pass over them."""
BACK = 4
"""One batch of so many is held back, to judge a fit by."""


class Program:
    """A model as it was when this was made, in a file of its own that goes when nobody needs it any more.

    path: of the file, beside which its weights lie, so that a session maps what it needs. proto: the model without
    them. weights: other values for some of its constants, by name, which every session has from then on.
    """

    def __init__(self, model: Model) -> None:
        folder = tempfile.mkdtemp(prefix="graphopt-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._files = itertools.count()
        self.path = Path(folder, "model.onnx")
        save(model, self.path, external_data=True)
        self.proto = onnx.load(self.path, load_external_data=False)
        self.weights: dict[str, Array] = {}
        graph = self.proto.graph
        self._makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
        self._held = {tensor.name: tensor for tensor in graph.initializer}

    @functools.cached_property
    def size(self) -> int:
        """Bytes of the model and its weights."""
        return sum(path.stat().st_size for path in self._own())

    @functools.cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for path in self._own():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """A text that changes with the model."""
        return self._digest

    def content(self) -> bytes:
        """The model as one message, with its weights."""
        return bytes(load(self.path).to_proto().SerializeToString())

    def _own(self) -> list[Path]:
        return sorted(self.path.parent.glob(f"{self.path.name}*"))

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs of the model."""
        return [output.name for output in self.proto.graph.output]

    def put(self, name: str, values: Array) -> None:
        """Give a constant other values."""
        before = self.weights.get(name)
        self.weights[name] = self._kept(values)
        _remove([before])

    def session(self, wanted: Sequence[str], weights: Mapping[str, Array] | None = None) -> Session:
        """Loads as much of the model as `wanted` takes, with `weights` besides `self.weights`. Raises ModelError."""
        kept = {name: self._kept(values) for name, values in (weights or {}).items()}
        changed = self.weights | kept
        proto = ModelProto()
        proto.CopyFrom(self._shell())
        graph = proto.graph
        nodes, needed = self._needed(wanted, changed)
        graph.node.extend(nodes)
        graph.initializer.extend(self._held[name] for name in needed if name in self._held and name not in changed)
        graph.initializer.extend(_tensor(name, changed[name]) for name in needed if name in changed)
        graph.output.extend(ValueInfoProto(name=name) for name in dict.fromkeys(wanted))
        part = self.path.with_name(f"{next(self._files)}.onnx")
        try:
            part.write_bytes(proto.SerializeToString())
            return open_session(part, name="a part of the model", prepack=self.size <= PACKED, inner=True)
        finally:
            part.unlink(missing_ok=True)
            _remove(kept.values())

    def _kept(self, values: Array) -> Array:
        """The values, in a file of their own if they are many."""
        if values.nbytes < LEAST:
            return values
        path = self.path.with_name(f"{next(self._files)}.data")
        np.ascontiguousarray(values).tofile(path)
        return np.memmap(path, values.dtype, "r", shape=values.shape)

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
    """Samples of which no labels are looked at, batch by batch; in batches small enough that some can be held back.

    limit: at most so many. count: how many there are. Raises UsageError for data without samples.
    """

    def __init__(self, data: Data, limit: int) -> None:
        self.data, self.limit = data, limit
        self._kept: list[Mapping[str, Array]] | None = None
        self._size, self._counts = _cut(data, limit)
        self.count = sum(self._counts)
        if not self.count:
            raise UsageError(f"{data.name} holds no samples to calibrate with")

    def __iter__(self) -> Iterator[Mapping[str, Array]]:
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[Mapping[str, Array]] = []
        size = 0
        for batch in self.data.batches(self._size, self.limit):
            size += sum(array.nbytes for array in batch.feeds.values())
            if size <= HELD:
                kept.append(batch.feeds)
            yield batch.feeds
        if size <= HELD:
            self._kept = kept

    @property
    def fitted(self) -> Part:
        """What layers are fitted to: all but those that are held back."""
        return Part(self, self._counts, [index for index in range(len(self._counts)) if not self._back(index)])

    @property
    def held(self) -> Part:
        """What a fit is judged by: every fourth batch, or the last of two or three; none of a single one."""
        return Part(self, self._counts, [index for index in range(len(self._counts)) if self._back(index)])

    def _back(self, index: int) -> bool:
        every = min(BACK, len(self._counts))
        return every > 1 and index % every == every - 1


class Part:
    """Some batches of samples. count: how many samples they hold."""

    def __init__(self, feeds: Feeds, counts: Sequence[int], chosen: Sequence[int]) -> None:
        self._feeds, self._counts, self._chosen = feeds, counts, chosen
        self.count = sum(counts[index] for index in chosen)

    def __iter__(self) -> Iterator[Mapping[str, Array]]:
        chosen = frozenset(self._chosen)
        return (feed for index, feed in enumerate(self._feeds) if index in chosen)

    def first(self, samples: int) -> Part:
        """As few of the batches, from the start, as hold so many samples, or all."""
        totals = itertools.accumulate((self._counts[index] for index in self._chosen), initial=0)
        return Part(
            self._feeds, self._counts, [i for i, total in zip(self._chosen, totals, strict=False) if total < samples]
        )


def _cut(data: Data, limit: int) -> tuple[int | None, list[int]]:
    """The size of batches, None for what the data takes by default, and how many samples each of them holds."""

    def counts(size: int | None) -> list[int]:
        return [1 if batch.whole else batch.count for batch in data.batches(size, limit)]

    usual = counts(None)
    if len(usual) >= BACK or sum(usual) == len(usual):
        return None, usual
    smaller = -(-sum(usual) // BACK)
    try:
        return smaller, counts(smaller)
    except UsageError:  # exported for batches of one size
        return None, usual


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


def _tensor(name: str, values: Array) -> TensorProto:
    """A constant as an initializer: with its values, or where they are mapped from."""
    if not isinstance(values, np.memmap) or values.filename is None:
        return numpy_helper.from_array(values, name)
    proto = TensorProto(name=name, dims=values.shape, data_type=elem_type(values.dtype))
    locate(proto, Path(values.filename).name, values.offset, values.nbytes)
    return proto


def _remove(kept: Iterable[Array | None]) -> None:
    """Take the names off files of values: they go with the last that maps them."""
    for values in kept:
        if isinstance(values, np.memmap) and values.filename is not None:
            Path(values.filename).unlink(missing_ok=True)
