"""Samples that are fed to a model at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from graphopt.errors import UsageError
from graphopt.ir.types import Array
from graphopt.ir.words import quoted

Chunk = dict[str, Array]
"""Consecutive samples: arrays by name, each with the samples along its first axis."""


@dataclass(frozen=True)
class Batch:
    """Samples that are fed to a model at once.

    feeds: by input name, of the dtypes of the model. Samples along the first axis; those from `count` on are padding.
    labels: (count, ...), or None.
    count: how many samples there are.
    whole: there is one sample, and the feeds have no axis for it: they are one complete set of inputs.
    """

    feeds: dict[str, Array]
    labels: Array | None
    count: int
    whole: bool = False

    def outputs(self, found: Mapping[str, Array]) -> dict[str, Array]:
        """What a model gave for the samples: outputs with `count` elements along the first axis, the padding dropped.

        What one sample alone gave is that sample's, whatever its shape. Raises UsageError for an output of several
        samples whose first axis does not hold them.
        """
        return {name: self._samples(name, array, self.rows) for name, array in found.items()}

    def padded(self, rows: int) -> Batch:
        """The same samples, the last of them repeated in the feeds until there are `rows`."""
        if self.whole or self.rows >= rows:
            return self
        feeds = {
            name: np.concatenate([array, np.repeat(array[-1:], rows - len(array), axis=0)])
            for name, array in self.feeds.items()
        }
        return replace(self, feeds=feeds)

    @property
    def rows(self) -> int:
        """Samples and padding."""
        return 1 if self.whole else size_of(self.feeds)

    def _samples(self, name: str, array: Array, rows: int) -> Array:
        if not self.whole and array.ndim and len(array) == rows:
            return array[: self.count]
        if rows == 1:
            return array[None]
        raise UsageError(
            f"output {quoted(name)} has the shape {list(array.shape)} for {rows} samples: its first axis does not hold "
            "the samples; feed one at a time (batch 1)"
        )


def size_of(chunk: Mapping[str, Array]) -> int:
    """How many samples a chunk holds."""
    return next((len(array) for array in chunk.values()), 0)


def regrouped(chunks: Iterable[Chunk], size: int) -> Iterator[Chunk]:
    """The same samples in chunks of `size`; fewer at the end, and where the shape of samples changes."""
    held: list[Chunk] = []
    count = 0
    for chunk in chunks:
        if held and _shapes(chunk) != _shapes(held[0]):
            yield _joined(held)
            held, count = [], 0
        held.append(chunk)
        count += size_of(chunk)
        while count >= size:
            joined = _joined(held)
            yield {name: array[:size] for name, array in joined.items()}
            count -= size
            held = [{name: array[size:] for name, array in joined.items()}] if count else []
    if held:
        yield _joined(held)


def _shapes(chunk: Chunk) -> dict[str, tuple[int, ...]]:
    return {name: array.shape[1:] for name, array in chunk.items()}


def _joined(chunks: list[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
