"""Data for a model: arrays of a source matched with inputs, checked, converted and cut into batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np

from graphopt.data.batch import Batch, Chunk, regrouped, size_of
from graphopt.data.convert import Conversion, converter
from graphopt.data.files import combined
from graphopt.data.frame import AXES
from graphopt.data.interface import Interface, Port
from graphopt.data.preprocess import Preprocess
from graphopt.data.source import IGNORED, LABELS, Field, Source
from graphopt.errors import UsageError
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import Array
from graphopt.ir.words import counted, listed, quoted

DEFAULT_BATCH = 32
"""Samples in a batch of a model that takes any number."""
SCANNED = 1 << 30
"""Bytes of floating arrays up to which they are searched for NaN before anything runs; later ones as they come."""
LABELS_AT_ONCE = 1 << 14

Nan = Literal["refuse", "keep"]


@dataclass(frozen=True)
class Column:
    """An input of the model, the array of the source that it is fed, and what is done to that on the way."""

    port: Port
    field: str
    convert: Conversion


@dataclass(frozen=True)
class Fitted:
    """A source as data for a model.

    label: the array that holds labels, to which `offset` is added. batch: the number of samples that the model was
    exported for, or None. whole: every sample is a complete set of inputs.
    """

    source: Source
    columns: tuple[Column, ...]
    label: str | None = None
    offset: int = 0
    batch: int | None = None
    whole: bool = False
    nan: Nan = "refuse"

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @property
    def count(self) -> int | None:
        """How many samples there are, if that is known."""
        return self.source.fields[self.columns[0].field].count

    @property
    def labelled(self) -> bool:
        """Whether there are labels."""
        return self.label is not None

    def batches(self, size: int | None = None, limit: int | None = None) -> Iterator[Batch]:
        """See `Data.batches`. Raises UsageError for a size that the model does not take and samples that do not fit."""
        rows = self._rows(size)
        done = 0
        for chunk in regrouped(self._chunks(rows, limit), rows):
            yield self._batch(chunk, done, rows)
            done += size_of(chunk)

    def labels(self) -> Iterator[Array]:
        """The labels alone, if the source can read them without the inputs."""
        if self.label is not None and self.source.cheap([self.label]):
            for chunk in self.source.chunks(LABELS_AT_ONCE, [self.label]):
                yield self._shifted(chunk[self.label])

    def fingerprint(self) -> str:
        """A hash of the content, of what is fed to which input, and of how it is converted."""
        columns = [f"{one.port.name}={one.field}={one.convert}" for one in self.columns]
        return combined(self.source.digest(), *columns, f"{self.label}+{self.offset}", f"{self.whole}")

    def _rows(self, size: int | None) -> int:
        if size is None:
            return self.batch or DEFAULT_BATCH
        if size < 1:
            raise UsageError(f"a batch holds at least 1 sample, not {size}")
        if self.batch not in (None, size):
            raise UsageError(
                f"the model was exported for {counted(self.batch or 0, 'sample')} at a time, and cannot be fed {size}"
            )
        return size

    def _chunks(self, size: int, limit: int | None) -> Iterator[Chunk]:
        names = list(dict.fromkeys([*(one.field for one in self.columns), *([self.label] if self.label else [])]))
        left = limit
        for chunk in self.source.chunks(size if limit is None else max(1, min(size, limit)), names):
            if left is not None and left <= size_of(chunk):
                if left:
                    yield {name: array[:left] for name, array in chunk.items()}
                return
            yield chunk
            left = None if left is None else left - size_of(chunk)

    def _batch(self, chunk: Chunk, start: int, rows: int) -> Batch:
        count = size_of(chunk)
        feeds = {}
        for one in self.columns:
            array = one.convert(chunk[one.field])
            if self.nan == "refuse":
                self._check_numbers(one, array, start)
            feeds[one.port.name] = array[0] if self.whole else array
        check_sizes(self.name, [one.port for one in self.columns], feeds)
        labels = None if self.label is None else self._shifted(chunk[self.label])
        batch = Batch(feeds, labels, count, self.whole)
        return batch if self.batch is None else batch.padded(rows)

    def _shifted(self, labels: Array) -> Array:
        return np.where(labels == IGNORED, labels, labels + self.offset) if self.offset else labels

    def _check_numbers(self, column: Column, array: Array, start: int) -> None:
        if array.dtype not in FLOATS:
            return
        bad = np.isnan(array).reshape(len(array), -1).any(axis=1)
        if bad.any():
            raise UsageError(
                f"{self.name}: sample {start + int(bad.argmax())} of {quoted(column.field)} holds NaN; mend the data, "
                "or let such samples through with nan='keep' (--nan keep)"
            )

    def check(self) -> None:
        """Look for NaN in all samples if that is cheap, else in the first ones, and for labels that are NaN.

        Raises UsageError that says where one is, and for data without samples.
        """
        if self.count == 0:
            raise UsageError(f"{self.name} holds no samples")
        batches: Iterable[Batch] = self.batches(self.batch or 1)
        cheap = self.source.cheap([one.field for one in self.columns])
        if not (self.nan == "refuse" and cheap and 0 < self._bytes() <= SCANNED):
            batches = islice(batches, 1)
        if not sum(batch.count for batch in batches):
            raise UsageError(f"{self.name} holds no samples")

    def _bytes(self) -> int:
        """Of the arrays that may hold NaN."""
        fields = [self.source.fields[one.field] for one in self.columns]
        return sum(
            int(np.prod([size or 1 for size in one.shape])) * (one.count or 0) * one.dtype.itemsize
            for one in fields
            if one.dtype.kind not in "iub"
        )


def fit(
    source: Source,
    model: Interface,
    *,
    preprocess: Preprocess | None = None,
    inputs: Mapping[str, str] | None = None,
    label: str | None = None,
    offset: int = 0,
    nan: Nan = "refuse",
) -> Fitted:
    """Match the arrays of a source with the inputs of a model.

    inputs: names of arrays by name of input, where they are not the same. label: the array that holds labels; by
    default one of `LABELS`. Raises UsageError where they do not fit.
    """
    label = _label(source, model, label)
    pairs = _matched(source, model, dict(inputs or {}), label)
    _check_counts(source, [name for _, name in pairs], label)
    whole = not model.batched or _has_sets(source, pairs)
    columns = tuple(
        Column(port, name, converter(source, name, port, _meant(preprocess, port, pairs), whole=whole))
        for port, name in pairs
    )
    batch = 1 if whole else model.batch
    return Fitted(source, columns, label, offset, batch, whole, nan)


def _meant(preprocess: Preprocess | None, port: Port, pairs: Sequence[tuple[Port, str]]) -> Preprocess | None:
    """The preprocessing of an input: of the only one, or of those among several that take pictures."""
    return preprocess if len(pairs) == 1 or (port.shape is not None and len(port.shape) == AXES + 1) else None


def _label(source: Source, model: Interface, label: str | None) -> str | None:
    taken = {port.name for port in model.inputs}
    found = [name for name in LABELS if name in source.fields and name not in taken] if label is None else [label]
    if len(found) > 1:
        raise UsageError(
            f"{source.name} has the arrays {listed(map(quoted, found))}: say which holds the labels (--labels)"
        )
    if found and found[0] not in source.fields:
        raise UsageError(f"{source.name} has no array {quoted(found[0])} of labels; it has {_listed(source)}")
    return found[0] if found else None


def _matched(source: Source, model: Interface, inputs: dict[str, str], label: str | None) -> list[tuple[Port, str]]:
    """Input by input, the name of its array."""
    known = {port.name: port for port in model.inputs}
    for name, array in inputs.items():
        if name not in known:
            raise UsageError(f"{model.name} has no input {quoted(name)}; it has {listed(map(quoted, known), 20)}")
        if array not in source.fields:
            raise UsageError(f"{source.name} has no array {quoted(array)}; it has {_listed(source)}")
    named = {port.name: port.name for port in model.inputs if port.name in source.fields} | inputs
    missing = [port for port in model.required if port.name not in named]
    left = [name for name in source.fields if name != label and name not in named.values()]
    if len(missing) == len(left) == len(model.required) == 1:
        named[missing[0].name] = left[0]
    elif missing:
        raise UsageError(
            f"{source.name} has no array for input {missing[0]} of {model.name}; it has {_listed(source)}. Name the "
            "arrays after the inputs, or say which is which (--input INPUT=ARRAY)"
        )
    return [(known[name], named[name]) for name in known if name in named]


def _check_counts(source: Source, names: Sequence[str], label: str | None) -> None:
    """Raises UsageError unless all arrays that matter have the same number of samples."""
    every = {name: source.fields[name].count for name in (*names, *([label] if label else []))}
    counts = {name: count for name, count in every.items() if count is not None}
    if len(set(counts.values())) > 1:
        many = listed((f"{quoted(name)} {count:,}" for name, count in counts.items()), 20)
        raise UsageError(f"{source.name}: the arrays have different numbers of samples: {many}")


def _has_sets(source: Source, pairs: Sequence[tuple[Port, str]]) -> bool:
    """Whether every sample has all axes of the input, also the one for samples: it is a complete set of inputs."""
    ranked = [(port.shape, source.fields[name].shape) for port, name in pairs if port.shape is not None]
    return bool(ranked) and all(len(declared) == len(found) for declared, found in ranked)


def _listed(source: Source) -> str:
    return listed((f"{quoted(name)} {one.dtype} {_dims(one)}" for name, one in source.fields.items()), 20) or "none"


def _dims(field: Field) -> str:
    return str(["?" if field.count is None else field.count, *("?" if dim is None else dim for dim in field.shape)])


def check_sizes(name: str, ports: Sequence[Port], feeds: Mapping[str, Array]) -> None:
    """Raises UsageError where two inputs give different numbers to one free dimension of the model."""
    found: dict[str, tuple[int, str]] = {}
    for port in ports:
        for dim, size in zip(port.shape or (), feeds[port.name].shape, strict=False):
            if isinstance(dim, str):
                first, where = found.setdefault(dim, (size, port.name))
                if first != size:
                    raise UsageError(
                        f"{name}: dimension {dim!r} of the model is {first} in input {quoted(where)} and {size} in "
                        f"input {quoted(port.name)}"
                    )
