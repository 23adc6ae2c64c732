"""Several files with the same arrays, one after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from graphopt.data.batch import Chunk
from graphopt.data.files import combined
from graphopt.data.source import Field, Source
from graphopt.errors import UsageError
from graphopt.ir.words import listed, quoted


@dataclass(frozen=True)
class Shards:
    """The samples of all parts, in order. Raises UsageError where a part has other arrays than the first."""

    name: str
    parts: Sequence[Source]

    def __post_init__(self) -> None:
        _ = self.fields

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The arrays; sizes that differ between parts are None."""
        first, *others = self.parts
        found = dict(first.fields)
        for part in others:
            if part.fields.keys() != found.keys():
                raise UsageError(
                    f"{part.name} has the arrays {listed(map(quoted, part.fields))}, but {first.name} has "
                    f"{listed(map(quoted, found))}: all files of a folder must have the same"
                )
            found = {name: _joined(name, found[name], part, first.name) for name in found}
        return found

    def cheap(self, names: Collection[str]) -> bool:
        """Whether it is so for all parts."""
        return all(part.cheap(names) for part in self.parts)

    def chunks(self, size: int, names: Collection[str]) -> Iterator[Chunk]:
        """The samples of one part after the other."""
        for part in self.parts:
            yield from part.chunks(size, names)

    def digest(self) -> str:
        """Of all parts."""
        return combined(*(part.digest() for part in self.parts))


def _joined(name: str, known: Field, part: Source, first: str) -> Field:
    one = part.fields[name]
    if one.dtype != known.dtype or len(one.shape) != len(known.shape):
        raise UsageError(
            f"{part.name}: array {quoted(name)} is {one.dtype} with {len(one.shape)} axes a sample, but {known.dtype} "
            f"with {len(known.shape)} in {first}"
        )
    shape = tuple(a if a == b else None for a, b in zip(one.shape, known.shape, strict=True))
    count = None if one.count is None or known.count is None else one.count + known.count
    return Field(known.dtype, shape, count)


@dataclass(frozen=True)
class Beside:
    """Arrays of several sources with equally many samples, side by side: an unpacked .npz."""

    name: str
    parts: Sequence[Source]

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The arrays of all parts."""
        return {name: field for part in self.parts for name, field in part.fields.items()}

    def cheap(self, names: Collection[str]) -> bool:
        """Whether it is so for the parts that matter."""
        return all(part.cheap(names) for part in self.parts if part.fields.keys() & set(names))

    def chunks(self, size: int, names: Collection[str]) -> Iterator[Chunk]:
        """Chunk by chunk of all parts that matter, which cut them alike."""
        parts = [part.chunks(size, names) for part in self.parts if part.fields.keys() & set(names)]
        for chunks in zip(*parts, strict=True):
            yield {name: array for chunk in chunks for name, array in chunk.items()}

    def digest(self) -> str:
        """Of all parts."""
        return combined(*(part.digest() for part in self.parts))


@dataclass(frozen=True)
class Renamed:
    """A source whose arrays have other names. names: the old by the new."""

    source: Source
    names: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The arrays that have new names."""
        return {new: self.source.fields[old] for new, old in self.names.items()}

    def cheap(self, names: Collection[str]) -> bool:
        """Whether it is so for the source."""
        return self.source.cheap([self.names[name] for name in names])

    def chunks(self, size: int, names: Collection[str]) -> Iterator[Chunk]:
        """Those of the source, renamed."""
        for chunk in self.source.chunks(size, [self.names[name] for name in names]):
            yield {name: chunk[self.names[name]] for name in names}

    def digest(self) -> str:
        """Of the source."""
        return self.source.digest()
