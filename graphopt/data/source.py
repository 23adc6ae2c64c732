"""The two interfaces of data: what a file offers (`Source`), and what a model is fed (`Data`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from graphopt.data.batch import Batch, Chunk
from graphopt.ir.dtypes import DType
from graphopt.ir.types import Array

LABELS = ("label", "labels", "y")
"""Names of arrays that hold labels, unless a model has an input of that name."""

IGNORED = -100
"""The label of what does not count, in data with a label for every element of a sample: padding, for one."""


@runtime_checkable
class Data(Protocol):
    """Samples for a model, streamed: no more than a batch of them is in memory."""

    @property
    def name(self) -> str:
        """What sentences call it."""
        ...

    @property
    def count(self) -> int | None:
        """Of all samples, or None where nobody knows before the end."""
        ...

    @property
    def labelled(self) -> bool:
        """Whether batches have labels."""
        ...

    def batches(self, size: int | None = None, limit: int | None = None) -> Iterator[Batch]:
        """The samples in order, anew at each call.

        size: samples in a batch; by default what the model was exported for, or a number that suits most.
        limit: end after so many samples.
        """
        ...

    def labels(self) -> Iterator[Array]:
        """The labels alone, where that costs little; nothing otherwise, and for data without labels."""
        ...

    def fingerprint(self) -> str:
        """A text that changes when what `batches` gives changes: a key for caches."""
        ...


@dataclass(frozen=True)
class Field:
    """One of the arrays that a source offers.

    shape: of one sample; None for a size that differs between samples. count: of samples, or None where nobody knows.
    """

    dtype: DType
    shape: tuple[int | None, ...]
    count: int | None = None


class Source(Protocol):
    """Named arrays with samples along their first axis, as a file holds them: nothing is known of a model here."""

    @property
    def name(self) -> str:
        """What sentences call it."""
        ...

    @property
    def fields(self) -> Mapping[str, Field]:
        """The arrays."""
        ...

    def cheap(self, names: Collection[str]) -> bool:
        """Whether the named arrays can be read without much time, so that they may be read twice."""
        ...

    def chunks(self, size: int, names: Collection[str]) -> Iterator[Chunk]:
        """The named arrays, at most `size` samples at a time. Raises UsageError where they cannot be read."""
        ...

    def digest(self) -> str:
        """A hash of the content, in hexadecimal digits."""
        ...
