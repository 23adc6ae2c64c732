"""Labels that lie beside the samples: in a file of their own, or in the names of folders."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from graphopt.data.batch import Chunk, size_of
from graphopt.data.files import combined, unreadable
from graphopt.data.npy import Npy
from graphopt.data.npz import Npz
from graphopt.data.source import LABELS, Field, Source
from graphopt.errors import UsageError
from graphopt.ir.types import Array
from graphopt.ir.words import counted, listed, quoted

LABEL = LABELS[0]
NAMES = ("file", "filename", "path", "picture", "image", "name")
"""Headings of the column of a table that names files."""
HEADINGS = (*LABELS, "class", "target")
"""Headings of the column that holds labels."""


@dataclass(frozen=True)
class Labelled:
    """A source with labels, one for each sample in order, that another file holds."""

    source: Source
    labels: Array

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """Those of the source, and the labels."""
        return {**self.source.fields, LABEL: Field(self.labels.dtype, self.labels.shape[1:], len(self.labels))}

    def cheap(self, names: Collection[str]) -> bool:
        """The labels are."""
        others = set(names) - {LABEL}
        return not others or self.source.cheap(others)

    def chunks(self, size: int, names: Collection[str]) -> Iterator[Chunk]:
        """The samples, each with its label. Raises UsageError if there are more or fewer samples than labels."""
        others = [name for name in names if name != LABEL]
        if not others:
            yield from ({LABEL: self.labels[start : start + size]} for start in range(0, len(self.labels), size))
            return
        done = 0
        for chunk in self.source.chunks(size, others):
            count = size_of(chunk)
            if done + count > len(self.labels):
                raise UsageError(f"{self.name} has more samples than there are labels: {len(self.labels):,}")
            yield {**chunk, LABEL: self.labels[done : done + count]} if LABEL in names else chunk
            done += count
        if done < len(self.labels):
            raise UsageError(f"{self.name} has {done:,} samples, but there are {len(self.labels):,} labels")

    def digest(self) -> str:
        """Of the source and the labels."""
        return combined(self.source.digest(), str(self.labels.dtype), str(self.labels.tolist()))


def read_labels(path: Path, files: Sequence[str] | None = None, classes: Sequence[str] | None = None) -> Array:
    """The labels of a file, in order of the samples.

    An .npy file, an .npz file with one array or one called label, labels or y, or a table (.csv, .tsv, .txt): one label
    in each row, or a file and its label, under headings or without. files: the samples' files, where each is one;
    a table that names files may have them in any order. classes: names of classes in order, for labels that are names.

    Raises UsageError for a file that cannot be read, and for samples without a label.
    """
    if path.suffix in (".npy", ".npz"):
        return _array(path)
    table = read_table(path)
    column = _column(table, HEADINGS, default=len(table.rows[0]) - 1)
    labels = [row[column] for row in table.rows]
    names = None if len(table.rows[0]) == 1 else _column(table, NAMES, default=0)
    if files is not None and names is not None:
        known = {row[names]: label for row, label in zip(table.rows, labels, strict=True)}
        missing = [file for file in files if file not in known]
        if missing:
            raise UsageError(f"{path} has no label for {counted(len(missing), 'sample')}: {listed(missing)}")
        labels = [known[file] for file in files]
    return numbered(labels, classes, str(path))


def _array(path: Path) -> Array:
    source = Npy(path) if path.suffix == ".npy" else Npz(path)
    found = [name for name in source.fields if name in LABELS or len(source.fields) == 1]
    if len(found) != 1:
        raise UsageError(f"{path} has the arrays {listed(map(quoted, source.fields))}; labels must be called {LABEL}")
    count = source.fields[found[0]].count or 0
    return np.concatenate([chunk[found[0]] for chunk in source.chunks(max(1, count), found)] or [np.empty(0, np.int64)])


@dataclass(frozen=True)
class Table:
    """Rows of texts, all of one length, at least one; headings in small letters, or None."""

    path: Path
    headings: list[str] | None
    rows: list[list[str]]


def read_table(path: Path) -> Table:
    """The rows of a text file: separated by tabs in a .tsv file, by commas otherwise; empty lines do not count.

    The first row holds headings if one of its cells is such a word. Raises UsageError.
    """
    with (
        unreadable(path, "as a table", (UnicodeDecodeError, csv.Error)),
        path.open(encoding="utf-8-sig", newline="") as file,
    ):
        delimiter = "\t" if path.suffix == ".tsv" else ","
        rows = [[cell.strip() for cell in row] for row in csv.reader(file, delimiter=delimiter) if any(row)]
    known = {*NAMES, *HEADINGS, "text"}
    heads = bool(rows) and any(cell.lower() in known for cell in rows[0])
    headings, rows = ([cell.lower() for cell in rows[0]], rows[1:]) if heads else (None, rows)
    if not rows:
        raise UsageError(f"{path} holds no rows")
    for number, row in enumerate(rows, 1):
        if len(row) != len(headings or rows[0]):
            raise UsageError(f"{path}: row {number} has {len(row)} columns, expected {len(headings or rows[0])}: {row}")
    return Table(path, headings, rows)


def _column(table: Table, names: Sequence[str], default: int) -> int:
    if table.headings is None:
        return default
    found = [index for index, heading in enumerate(table.headings) if heading in names]
    if len(found) != 1:
        raise UsageError(
            f"{table.path} has the columns {listed(table.headings, 20)}; one must be called {' or '.join(names)}"
        )
    return found[0]


def numbered(labels: Sequence[str], classes: Sequence[str] | None, where: str) -> Array:
    """Labels as numbers: names are looked up in `classes`, or else numbered in alphabetical order; numbers stay."""
    if classes is None and all(_is_number(label) for label in labels):
        return np.array([int(label) for label in labels], np.int64)
    known = list(classes) if classes is not None else sorted(set(labels))
    numbers = {name: number for number, name in enumerate(known)}
    unknown = sorted({label for label in labels if label not in numbers})
    if unknown:
        raise UsageError(f"{where}: {counted(len(unknown), 'label')} that the list of classes lacks: {listed(unknown)}")
    return np.array([numbers[label] for label in labels], np.int64)


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def read_classes(path: Path) -> list[str]:
    """Names of classes, one in each line, from class 0 on. Raises UsageError."""
    with unreadable(path, "as text", (UnicodeDecodeError,)):
        names = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
    while names and not names[-1]:
        names.pop()
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if not names or twice:
        raise UsageError(f"{path} {'names a class twice: ' + listed(twice) if twice else 'names no classes'}")
    return names
