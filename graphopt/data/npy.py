"""Arrays in the .npy format: headers that are checked, and elements that are read a few samples at a time."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
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
from graphopt.ir.dtypes import DType
from graphopt.ir.types import Array

BROKEN = (EOFError, ValueError)
_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Header:
    """What an .npy file says before its elements. by_columns: the first axis is the one that varies fastest."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: DType

    def field(self, *, single: bool) -> Field:
        """The array as a field; single: it is one sample."""
        return Field(self.dtype, self.shape, 1) if single else Field(self.dtype, self.shape[1:], self.shape[0])


def read_header(file: IO[bytes], size: int) -> Header:
    """The header of an .npy file of so many bytes; the elements follow.

    Raises ValueError for anything else, for a size that contradicts the shape, and for Python objects.
    """
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, by_columns, dtype = npy.read_array_header_1_0(file)
    else:  # 2.0 and 3.0 differ only in how names of fields are encoded, and arrays here have none
        shape, by_columns, dtype = npy.read_array_header_2_0(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read: they may run code")
    if any(length < 0 for length in shape):
        raise ValueError(f"its shape is {shape}")
    expected = file.tell() + math.prod(shape) * dtype.itemsize
    if expected != size:
        raise ValueError(f"an array of the shape {list(shape)} takes {expected:,} bytes, found {size:,}: it is cut off")
    return Header(tuple(map(int, shape)), bool(by_columns), dtype)


@dataclass
class Rows:
    """Reads samples, one after the other, from a file that stands at the first element of an array."""

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


@contextlib.contextmanager
def rows(file: IO[bytes], size: int) -> Iterator[Rows]:
    """A reader of the samples of an .npy file of so many bytes."""
    header = read_header(file, size)
    if header.by_columns and len(header.shape) > 1:
        with _mapped(file, header) as whole:
            yield Rows(whole, header)
    else:
        yield Rows(file, header)


@contextlib.contextmanager
def _mapped(file: IO[bytes], header: Header) -> Iterator[Array]:
    """An array stored by columns, in which a sample is scattered: mapped from a temporary file."""
    with tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(file, unpacked, _AT_ONCE)
        unpacked.flush()
        yield np.memmap(unpacked, header.dtype, "r", shape=header.shape, order="F")


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


@dataclass(frozen=True)
class Npy:
    """An .npy file: one array, called after the file. Raises UsageError for a file that is none.

    single: it is one sample, without an axis for samples.
    """

    path: Path
    single: bool = False

    def __post_init__(self) -> None:
        _ = self.header

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @cached_property
    def header(self) -> Header:
        """Shape and dtype."""
        with unreadable(self.path, "as an .npy file", BROKEN), self.path.open("rb") as file:
            return read_header(file, self.path.stat().st_size)

    @property
    def headers(self) -> dict[str, Header]:
        """Its header by its name."""
        return {self.path.stem: self.header}

    @cached_property
    def fields(self) -> dict[str, Field]:
        """The array; a single number is no sample of anything, unless the file is one sample."""
        return {name: one.field(single=self.single) for name, one in self.headers.items() if one.shape or self.single}

    def cheap(self, _names: Collection[str]) -> bool:
        """A file can be read twice."""
        return True

    def chunks(self, size: int, names: Collection[str]) -> Iterator[Chunk]:
        """The array, if it is among the names."""
        name = self.path.stem
        with contextlib.ExitStack() as stack:
            stack.enter_context(unreadable(self.path, "as an .npy file", BROKEN))
            reader = stack.enter_context(rows(stack.enter_context(self.path.open("rb")), self.path.stat().st_size))
            if name in names and self.single:
                yield {name: reader.whole()[None]}
            elif name in names:
                count = self.header.shape[0]
                for start in range(0, count, size):
                    yield {name: reader.next(min(size, count - start))}

    def digest(self) -> str:
        """Of the file."""
        return digest(self.path)
