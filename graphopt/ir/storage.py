"""Where weights lie: in a mapped file, in bytes, or in a message. Nothing is decoded before `load`."""

from __future__ import annotations

import math
import mmap
import os
import stat
import weakref
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from graphopt.errors import ModelError, UnsafeModelError
from graphopt.ir import dtypes, wire
from graphopt.ir.dtypes import DType
from graphopt.ir.types import Array, Shape, Stored
from graphopt.ir.words import counted

TILE = 128
"""Rows and columns that are copied at a time of a matrix that is not in C order."""
SMALL = 4096
"""Bytes of values that are kept once they have been decoded."""
_DENSE = 4 << 30
"""No sparse tensor is unfolded to more bytes than this."""
_FIELDS = {
    wire.FLOAT_DATA: "float_data",
    wire.INT32_DATA: "int32_data",
    wire.INT64_DATA: "int64_data",
    wire.DOUBLE_DATA: "double_data",
    wire.UINT64_DATA: "uint64_data",
}
_PLAIN = frozenset((wire.RAW_DATA, wire.FLOAT_DATA, wire.DOUBLE_DATA))
"""The payload fields whose bytes are the elements themselves."""


class Source(Protocol):
    """Bytes at rest."""

    def read(self, offset: int, length: int) -> bytes | Array:
        """`length` bytes from `offset` on, aligned for every dtype."""


class Memory:
    """Bytes in memory as a `Source`."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, offset: int, length: int) -> bytes | Array:
        """The bytes asked for, copied unless they are all."""
        return self.content[offset : offset + length]


class File:
    """An open file, mapped read-only, as a `Source`. It stays readable when its name is replaced.

    Raises OSError if it cannot be opened, and ModelError if it is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        weakref.finalize(self, os.close, self.fd)
        status = os.fstat(self.fd)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path} is not a regular file")
        self.size = status.st_size
        self._stamp = (status.st_size, status.st_mtime_ns)
        self.content: mmap.mmap | bytes = mmap.mmap(self.fd, 0, access=mmap.ACCESS_READ) if self.size else b""

    def check(self) -> None:
        """Raises ModelError if another program has written into the file since it was opened."""
        status = os.fstat(self.fd)
        if (status.st_size, status.st_mtime_ns) != self._stamp:
            raise ModelError(f"{self.path} was changed by another program while it was being used")

    def is_at(self, path: Path) -> bool:
        """Whether `path` still names this file."""
        try:
            return os.path.samestat(os.fstat(self.fd), path.stat())
        except FileNotFoundError:
            return False

    def forget(self, offset: int, length: int) -> None:
        """Give back the memory in which a part of the mapping was looked at; it is read again when it is needed."""
        if isinstance(self.content, mmap.mmap) and length and hasattr(self.content, "madvise"):
            start = offset - offset % mmap.PAGESIZE
            self.content.madvise(mmap.MADV_DONTNEED, start, length + offset - start)

    def read(self, offset: int, length: int) -> bytes | Array:
        """A view of the mapping where it is aligned to 16 bytes, else a copy."""
        self.check()
        if offset % 16 == 0:
            return np.frombuffer(self.content, np.uint8, length, offset)
        pieces, end = [], offset + length
        while offset < end:
            piece = os.pread(self.fd, min(end - offset, 1 << 30), offset)
            if not piece:
                raise ModelError(f"{self.path} ends at byte {offset:,}: it was cut while it was being used")
            pieces.append(piece)
            offset += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class Payload(Stored):
    """Weights that lie in one piece in a source.

    `field` is the field of TensorProto whose content the bytes are; `outside` says that they lie in a file
    of external data, not in the model itself.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: DType,
        source: Source,
        place: wire.Place,
        *,
        outside: bool = False,
    ) -> None:
        super().__init__(shape, dtype, place.length)
        self.source, self.place, self.outside = source, place, outside

    @property
    def field(self) -> int:
        """The field of TensorProto that holds the payload."""
        return self.place.field

    @property
    def length(self) -> int:
        """Bytes of the payload."""
        return self.place.length

    @property
    def plain(self) -> bool:
        """Whether the payload is what raw_data would be."""
        return self.place.field in _PLAIN

    def load(self) -> Array:
        """The array, read-only; ModelError if the bytes are not what the shape says."""
        content = self.source.read(self.place.offset, self.place.length)
        if self.plain:
            return decode(content, self.dtype, self.shape)
        return message(self, bytes(content)).load()

    def release(self) -> None:
        """As the base class says, for what lies in a file."""
        if isinstance(self.source, File):
            self.source.forget(self.place.offset, self.place.length)


class Message(Stored):
    """Weights in a TensorProto: small ones, strings, and those in typed fields."""

    def __init__(self, shape: tuple[int, ...], dtype: DType, proto: TensorProto) -> None:
        super().__init__(shape, dtype, proto.ByteSize())
        self.proto = proto
        self._decoded: Array | None = None

    def load(self) -> Array:
        """The array, read-only; a small one is decoded once, as many rules look at it."""
        found = self._decoded
        if found is None:
            found = self._decode()
            if self.nbytes <= SMALL:
                self._decoded = found
        return found

    def _decode(self) -> Array:
        if self.dtype.kind == "O":
            return _strings(self.proto, self.shape)
        if self.proto.HasField("raw_data"):
            return decode(self.proto.raw_data, self.dtype, self.shape)
        return frozen(numpy_helper.to_array(self.proto))


class Sparse(Stored):
    """A sparse initializer: its values, and their indices as linear positions or as coordinates."""

    def __init__(self, shape: tuple[int, ...], values: Array | Stored, indices: Array | Stored) -> None:
        super().__init__(shape, values.dtype, values.nbytes + indices.nbytes)
        self.parts = values, indices

    def load(self) -> Array:
        """The dense array, read-only. Raises UnsafeModelError above 4 GiB."""
        size = math.prod(self.shape) * self.dtype.itemsize
        if size > _DENSE:
            raise UnsafeModelError(f"a sparse tensor of shape {list(self.shape)} is {counted(size, 'byte')} when dense")
        values, indices = map(loaded, self.parts)
        dense = np.zeros(self.shape, self.dtype)
        linear = indices.ndim == 1
        positions = indices if linear else indices @ _strides(self.shape)
        limits = np.array(dense.size if linear else self.shape)
        if ((indices < 0) | (indices >= limits)).any():
            raise ModelError(f"a sparse tensor of shape {list(self.shape)} has an index outside it")
        dense.reshape(-1)[positions] = values
        return frozen(dense)


def loaded(values: Array | Stored) -> Array:
    """The array itself."""
    return values.load() if isinstance(values, Stored) else values


def _strides(shape: tuple[int, ...]) -> Array:
    return np.array([math.prod(shape[axis + 1 :]) for axis in range(len(shape))], np.int64)


def frozen(array: Array) -> Array:
    """The same array, read-only."""
    array.flags.writeable = False
    return array


def raw_bytes(dtype: DType, shape: tuple[int, ...]) -> int:
    """Bytes of raw_data for a tensor of this dtype and shape."""
    return (math.prod(shape) * dtypes.bits(dtype) + 7) // 8


def decode(content: bytes | Array, dtype: DType, shape: tuple[int, ...]) -> Array:
    """The read-only array that raw_data `content` holds; a view of it where an element takes whole bytes."""
    if dtypes.bits(dtype) % 8:
        proto = TensorProto(dims=shape, data_type=dtypes.elem_type(dtype), raw_data=bytes(content))
        return frozen(numpy_helper.to_array(proto))
    flat = np.frombuffer(content, np.uint8)
    return frozen((flat != 0 if dtype.kind == "b" else flat.view(dtype)).reshape(shape))


def encode(array: Array) -> Array:
    """The raw_data of `array`, as flat bytes: a view where the array is contiguous and not packed."""
    if dtypes.bits(array.dtype) % 8:
        return np.frombuffer(numpy_helper.from_array(array).raw_data, np.uint8)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return _contiguous(array).reshape(-1).view(np.uint8)


def _contiguous(array: Array) -> Array:
    """The array in C order. A transposed matrix is copied tile by tile: whole rows of it would pass by the caches."""
    if array.flags.c_contiguous or not array.flags.f_contiguous:
        return np.ascontiguousarray(array)
    copied = np.empty(array.shape, array.dtype)
    for row in range(0, array.shape[0], TILE):
        for column in range(0, array.shape[1], TILE):
            tile = slice(row, row + TILE), slice(column, column + TILE)
            copied[tile] = array[tile]
    return copied


def message(payload: Payload, content: bytes) -> Message:
    """The payload as a TensorProto without a name."""
    proto = TensorProto(dims=payload.shape, data_type=dtypes.elem_type(payload.dtype))
    proto.MergeFromString(wire.record(payload.field, content))
    check_entries(proto, payload.dtype, payload.shape)
    return Message(payload.shape, payload.dtype, proto)


def check_entries(proto: TensorProto, dtype: DType, shape: tuple[int, ...]) -> None:
    """Raises ModelError if a tensor does not have as many elements as its shape says."""
    elements = math.prod(shape)
    if proto.HasField("raw_data") and dtype.kind != "O":
        expected, found, unit = raw_bytes(dtype, shape), len(proto.raw_data), "byte"
    else:
        per_entry = max(8 // dtypes.bits(dtype), 1) if dtype.kind != "O" else 1
        expected = -(-elements // per_entry) * (2 if dtype.kind == "c" else 1)
        name = onnx.helper.tensor_dtype_to_field(proto.data_type)
        found, unit = len(getattr(proto, name)), "entry of " + name
    if found != expected:
        raise ModelError(
            f"its shape {list(shape)} of {dtypes.name(dtype)} needs {counted(expected, unit)}, it has {found:,}"
        )


def _strings(proto: TensorProto, shape: Shape) -> Array:
    try:
        texts: list[str | bytes] = [entry.decode() for entry in proto.string_data]
    except UnicodeDecodeError:
        texts = list(proto.string_data)
    array = np.empty(len(texts), object)
    array[:] = texts
    return frozen(array.reshape(shape))
