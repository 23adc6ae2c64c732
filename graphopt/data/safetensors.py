"""Arrays of a .safetensors file (https://huggingface.co/docs/safetensors, "Format"), read a few samples at a time.

Eight bytes give the length of a JSON object, which gives dtype, shape and place of every array; the elements follow.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from graphopt.data.batch import Chunk
from graphopt.data.files import digest, unreadable
from graphopt.data.npy import filled
from graphopt.data.source import Field
from graphopt.errors import UsageError
from graphopt.ir.dtypes import DType, numpy_dtype
from graphopt.ir.words import quoted

_CODES = {
    "F64": 11, "F32": 1, "F16": 10, "BF16": 16, "F8_E4M3": 17, "F8_E5M2": 19, "I64": 7, "I32": 6, "I16": 5, "I8": 3,
    "U64": 13, "U32": 12, "U16": 4, "U8": 2, "BOOL": 9,
}  # fmt: skip
"""ONNX element types by the format's names."""
_LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""
_HEAD = 8
_KIND = "as a .safetensors file"
_BROKEN = (ValueError, KeyError, TypeError, EOFError, RecursionError)


@dataclass(frozen=True)
class Place:
    """Where an array lies: its first byte in the file."""

    dtype: DType
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Safetensors:
    """The arrays of a .safetensors file, whose first axis holds the samples. Raises UsageError for a file that is none.

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
    def headers(self) -> dict[str, Place]:
        """Place by name of array."""
        with unreadable(self.path, _KIND, _BROKEN), self.path.open("rb") as file:
            size = self.path.stat().st_size
            length = int.from_bytes(file.read(_HEAD), "little")
            if not 0 < length <= min(_LONGEST_HEADER, size - _HEAD):
                raise ValueError(f"its header would have {length:,} bytes")
            found = json.loads(file.read(length))
            if not isinstance(found, dict):
                raise TypeError("its header is no JSON object")
            named = {name: _place(name, one, _HEAD + length) for name, one in found.items() if name != "__metadata__"}
            _check_places(named, size)
            return named

    @cached_property
    def fields(self) -> dict[str, Field]:
        """The arrays; a single number is no sample of anything, unless the file is one sample."""
        if self.single:
            return {name: Field(one.dtype, one.shape, 1) for name, one in self.headers.items()}
        return {name: Field(one.dtype, one.shape[1:], one.shape[0]) for name, one in self.headers.items() if one.shape}

    def cheap(self, _names: Collection[str]) -> bool:
        """A file can be read twice, and array by array."""
        return True

    def chunks(self, size: int, names: Collection[str]) -> Iterator[Chunk]:
        """The named arrays, of equally many samples, side by side. Raises UsageError for a broken file."""
        fields = {name: self.fields[name] for name in names}
        count = min((field.count or 0 for field in fields.values()), default=0)
        with contextlib.ExitStack() as stack:
            stack.enter_context(unreadable(self.path, _KIND, _BROKEN))
            file = stack.enter_context(self.path.open("rb"))
            for start in range(0, count, size):
                chunk = {}
                for name, field in fields.items():
                    shape = (min(size, count - start), *(dim or 0 for dim in field.shape))
                    file.seek(self.headers[name].start + start * math.prod(shape[1:]) * field.dtype.itemsize)
                    chunk[name] = filled(file, np.empty(shape, field.dtype))
                yield chunk

    def digest(self) -> str:
        """Of the file."""
        return digest(self.path)


def _place(name: str, said: Any, origin: int) -> Place:
    """What the header says of an array. Raises ValueError, KeyError or TypeError where it contradicts itself."""
    if said["dtype"] not in _CODES:
        raise ValueError(f"{quoted(name)} is {quoted(str(said['dtype']))}, of which nothing is known here")
    dtype = numpy_dtype(_CODES[said["dtype"]])
    shape, (start, stop) = tuple(said["shape"]), said["data_offsets"]
    if not all(isinstance(number, int) and number >= 0 for number in (*shape, start, stop)):
        raise ValueError(f"shape and place of {quoted(name)} are {said['shape']} and {said['data_offsets']}")
    if stop - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{quoted(name)} of the shape {list(shape)} has {stop - start:,} bytes")
    return Place(dtype, shape, origin + start, origin + stop)


def _check_places(places: dict[str, Place], size: int) -> None:
    """Raises ValueError for arrays that overlap or lie behind the end of the file."""
    ordered = sorted(places.items(), key=lambda item: (item[1].start, item[1].stop))
    for (name, one), (other, two) in pairwise(ordered):
        if one.stop > two.start:
            raise ValueError(f"{quoted(name)} and {quoted(other)} overlap")
    if ordered and ordered[-1][1].stop > size:
        raise ValueError(f"{quoted(ordered[-1][0])} ends behind the end of the file: it is cut off")
