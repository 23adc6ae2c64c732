"""Arrays of an .npz file, streamed out of the zip: of each no more than the samples asked for is in memory."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from graphopt.data.batch import Chunk
from graphopt.data.files import digest, unreadable
from graphopt.data.npy import BROKEN, Header, Rows, read_header, rows
from graphopt.data.source import Field
from graphopt.errors import UsageError
from graphopt.ir.words import quoted

_ENCRYPTED = 0x1
"""The bit of a zip member's flags that says so."""
_BROKEN = (*BROKEN, NotImplementedError, zipfile.BadZipFile, zlib.error)
_KIND = "as an .npz file"


@dataclass(frozen=True)
class Npz:
    """The arrays of an .npz file, whose first axis holds the samples. Raises UsageError for a file that is none.

    single: the file is one sample; its arrays have no axis for samples.
    """

    path: Path
    single: bool = False

    def __post_init__(self) -> None:
        if not self.headers:
            raise UsageError(f"{self.path} holds no arrays")

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @cached_property
    def headers(self) -> dict[str, Header]:
        """Header by name of array."""
        with unreadable(self.path, _KIND, _BROKEN), zipfile.ZipFile(self.path) as held:
            return {info.filename.removesuffix(".npy"): _header(held, info) for info in held.infolist()}

    @cached_property
    def fields(self) -> dict[str, Field]:
        """The arrays; a single number is no sample of anything, unless the file is one sample."""
        return {name: one.field(single=self.single) for name, one in self.headers.items() if one.shape or self.single}

    def cheap(self, _names: Collection[str]) -> bool:
        """A file can be read twice, and array by array."""
        return True

    def chunks(self, size: int, names: Collection[str]) -> Iterator[Chunk]:
        """The named arrays, of equally many samples, side by side. Raises UsageError for a broken file."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(unreadable(self.path, _KIND, _BROKEN))
            held = stack.enter_context(zipfile.ZipFile(self.path))
            readers = {name: stack.enter_context(_rows(held, name)) for name in names}
            if self.single:
                yield {name: reader.whole()[None] for name, reader in readers.items()}
                return
            count = min((self.headers[name].shape[0] for name in names), default=0)
            for start in range(0, count, size):
                yield {name: reader.next(min(size, count - start)) for name, reader in readers.items()}

    def digest(self) -> str:
        """Of the file."""
        return digest(self.path)


@contextlib.contextmanager
def _rows(held: zipfile.ZipFile, name: str) -> Iterator[Rows]:
    """A reader of an array; the file of an .npz may be called after it with or without its ending."""
    info = held.getinfo(name if name in held.NameToInfo else f"{name}.npy")
    with held.open(info) as member, rows(member, info.file_size) as reader:
        yield reader


def _header(held: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    name = quoted(info.filename.removesuffix(".npy"))
    if info.flag_bits & _ENCRYPTED:
        raise ValueError(f"{name} in it is encrypted")
    with held.open(info) as member:
        try:
            return read_header(member, info.file_size)
        except ValueError as error:
            raise ValueError(f"{name} in it is no array: {error}") from error
