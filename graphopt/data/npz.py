"""Arrays of an .npz file, streamed out of the zip: of each no more than the samples asked for is in memory."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from graphopt.data.batch import Chunk
from graphopt.data.files import digest, unreadable
from graphopt.data.source import Field
from graphopt.errors import UsageError
from graphopt.ir.dtypes import DType
from graphopt.ir.types import Array
from graphopt.ir.words import quoted

_AT_ONCE = 1 << 20
_ENCRYPTED = 0x1
"""The bit of a zip member's flags that says so."""
_BROKEN = (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Header:
    """What an .npy file says before its elements."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: DType


def read_header(file: IO[bytes]) -> Header:
    """The header of an .npy file; the elements follow. Raises ValueError for anything else, and for Python objects."""
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, by_columns, dtype = npy.read_array_header_1_0(file)
    else:  # 2.0 and 3.0 differ only in the encoding of the names of fields
        shape, by_columns, dtype = npy.read_array_header_2_0(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read: they may run code")
    if any(size < 0 for size in shape):
        raise ValueError(f"its shape is {shape}")
    return Header(tuple(map(int, shape)), bool(by_columns), dtype)


@dataclass(frozen=True)
class Npz:
    """The arrays of an .npz file, whose first axis holds the samples. Raises UsageError for a file that is none.

    single: the file is one sample; its arrays have no axis for samples.
    """

    path: Path
    single: bool = False

    cheap = True

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
        with unreadable(self.path, "as an .npz file", _BROKEN), zipfile.ZipFile(self.path) as held:
            found = {}
            for info in held.infolist():
                name = info.filename.removesuffix(".npy")
                if info.flag_bits & _ENCRYPTED:
                    raise ValueError(f"{quoted(name)} is encrypted")
                with held.open(info) as member:
                    found[name] = _header_of(member, name, info.file_size)
        return found

    @cached_property
    def fields(self) -> dict[str, Field]:
        """The arrays; a single number is no sample of anything, unless the file is one sample."""
        every = self.headers.items()
        if self.single:
            return {name: Field(header.dtype, header.shape, 1) for name, header in every}
        return {name: Field(one.dtype, one.shape[1:], one.shape[0]) for name, one in every if one.shape}

    def chunks(self, size: int, names: Collection[str]) -> Iterator[Chunk]:
        """The named arrays, of equally many samples, side by side. Raises UsageError for a broken file."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(unreadable(self.path, "as an .npz file", _BROKEN))
            held = stack.enter_context(zipfile.ZipFile(self.path))
            readers = {name: stack.enter_context(self._open(held, name)) for name in names}
            if self.single:
                yield {name: rows.whole()[None] for name, rows in readers.items()}
                return
            count = min((self.headers[name].shape[0] for name in names), default=0)
            for start in range(0, count, size):
                yield {name: rows.next(min(size, count - start)) for name, rows in readers.items()}

    @contextlib.contextmanager
    def _open(self, held: zipfile.ZipFile, name: str) -> Iterator[Rows]:
        inside = name if name in held.namelist() else f"{name}.npy"
        with held.open(inside) as member:
            header = read_header(member)
            if header.by_columns and len(header.shape) > 1:
                with _unpacked(member, header) as whole:
                    yield Rows(whole, header)
            else:
                yield Rows(member, header)

    def digest(self) -> str:
        """Of the file."""
        return digest(self.path)


@dataclass
class Rows:
    """Reads the next samples of an array out of a file."""

    source: IO[bytes] | Array
    header: Header
    position: int = 0

    def next(self, count: int) -> Array:
        """The next `count` samples. Raises EOFError if there are fewer."""
        start, self.position = self.position, self.position + count
        if isinstance(self.source, np.ndarray):
            return np.ascontiguousarray(self.source[start : self.position])
        return filled(self.source, np.empty((count, *self.header.shape[1:]), self.header.dtype))

    def whole(self) -> Array:
        """All of the array."""
        if isinstance(self.source, np.ndarray):
            return np.ascontiguousarray(self.source)
        return filled(self.source, np.empty(self.header.shape, self.header.dtype))


def filled(file: IO[bytes], array: Array) -> Array:
    """A contiguous array with its bytes read from a file. Raises EOFError if that ends before."""
    flat = array.reshape(-1).view(np.uint8)
    done = 0
    while done < flat.size:
        piece = file.read(min(flat.size - done, _AT_ONCE))
        if not piece:
            raise EOFError("it ends in the middle of an array")
        flat[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    return array


@contextlib.contextmanager
def _unpacked(member: IO[bytes], header: Header) -> Iterator[Array]:
    """An array stored column by column, whose samples lie scattered: mapped from a temporary file."""
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(member, file, 1 << 20)
        file.flush()
        yield np.memmap(file, header.dtype, "r", shape=header.shape, order="F")


def _header_of(member: IO[bytes], name: str, size: int) -> Header:
    try:
        header = read_header(member)
    except ValueError as error:
        raise ValueError(f"{quoted(name)} cannot be read as an array: {error}") from error
    if member.tell() + math.prod(header.shape) * header.dtype.itemsize != size:
        raise ValueError(f"{quoted(name)} is cut off: {size} bytes are too few or too many for {header.shape}")
    return header
