"""Samples for training: in memory where they fit, in pieces as large as memory allows where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.data.batch import Batch
from graphopt.data.source import Data
from graphopt.errors import UsageError
from graphopt.ir.types import Array

MEMORY = 1 << 30
"""Bytes of samples that are held at once, and shuffled among each other."""


@dataclass(frozen=True)
class Piece:
    """Samples of one shape, along the first axis of every array. whole: the model takes them without that axis."""

    feeds: Mapping[str, Array]
    labels: Array | None
    whole: bool = False

    def __len__(self) -> int:
        return len(next(iter(self.feeds.values())))

    def batch(self, rows: Sequence[int]) -> Batch:
        """Some of the samples, to be fed; just one of those that are whole."""
        chosen = {name: array[rows[0]] if self.whole else array[rows] for name, array in self.feeds.items()}
        return Batch(chosen, None if self.labels is None else self.labels[rows], len(rows), self.whole)


class Samples:
    """The samples of some data, in pieces; they are read once if they fit into memory, and in every epoch if not.

    limit: at most so many; 0 for all. memory: bytes of a piece.
    """

    def __init__(self, data: Data, limit: int = 0, memory: int = MEMORY) -> None:
        self._data, self._limit, self._memory = data, limit or None, memory
        self._held: list[Piece] | None = None
        self.count = sum(map(len, self))
        if not self.count:
            raise UsageError(f"{data.name} holds no samples to train on")

    def __iter__(self) -> Iterator[Piece]:
        if self._held is not None:
            yield from self._held
            return
        held: list[Piece] = []
        total = 0
        for piece in self._read():
            total += _bytes(piece.feeds)
            held = [*held, piece] if total <= self._memory else []
            yield piece
        self._held = held if total <= self._memory else None

    def _read(self) -> Iterator[Piece]:
        group: list[Batch] = []
        size = 0
        for batch in self._data.batches(None, self._limit):
            if group and (size >= self._memory or _shapes(batch) != _shapes(group[0])):
                yield _joined(group)
                group, size = [], 0
            group.append(batch)
            size += _bytes(batch.feeds)
        if group:
            yield _joined(group)


def _shapes(batch: Batch) -> list[tuple[int, ...]]:
    return [array.shape[not batch.whole :] for array in batch.feeds.values()]


def _bytes(feeds: Mapping[str, Array]) -> int:
    return sum(array.nbytes for array in feeds.values())


def _joined(group: Sequence[Batch]) -> Piece:
    """One piece of batches whose samples have one shape."""
    join = np.stack if group[0].whole else np.concatenate
    parts = {
        name: join([batch.feeds[name] if batch.whole else batch.feeds[name][: batch.count] for batch in group])
        for name in group[0].feeds
    }
    labels = [batch.labels for batch in group if batch.labels is not None]
    return Piece(parts, np.concatenate(labels) if len(labels) == len(group) else None, group[0].whole)
