"""Where the payload of each tensor goes when a model is written."""

from __future__ import annotations

import os
from collections.abc import Hashable
from pathlib import Path
from typing import NamedTuple

from onnx import TensorProto
from onnx_graphsurgeon.ir.tensor import LazyValues

from graphopt.errors import OutputError
from graphopt.ir import dtypes, wire
from graphopt.ir.storage import File, Memory, Message, Payload, Sparse, encode, loaded, raw_bytes
from graphopt.ir.types import Array, Stored

LIMIT = 2**31 - 1
"""Bytes that a protobuf message can have."""

Held = Stored | Array
"""An array, or what is not read before it is written."""


class Chunk(NamedTuple):
    """A payload to be written: `length` bytes for `field` of a TensorProto."""

    held: Held
    field: int
    length: int


def whole(held: Held) -> Chunk:
    """The payload as it will be in the message: in the field where it was found, or as raw_data."""
    if isinstance(held, Payload):
        return Chunk(held, held.field, held.length)
    return Chunk(held, wire.RAW_DATA, raw_bytes(held.dtype, held.shape))


def raw(held: Held) -> Chunk:
    """The payload as it will be in a file of external data."""
    return Chunk(held, wire.RAW_DATA, raw_bytes(held.dtype, held.shape))


class Weights:
    """Puts all payloads into the message itself. Raises OutputError once they are too much for one message."""

    limit = wire.CUT
    """Arrays of fewer bytes are always put into the message."""

    def __init__(self) -> None:
        self._room = LIMIT

    def put(self, proto: TensorProto, values: Array | LazyValues) -> None:
        """Fill in dims, data_type and the payload, or where it is."""
        if isinstance(values, Message):
            proto.CopyFrom(values.proto)
            self.message(proto, values)
            return
        if isinstance(values, LazyValues) and not _stays(values):
            values = values.load()
        proto.dims.extend([int(dim) for dim in values.shape])
        proto.data_type = dtypes.elem_type(values.dtype)
        if values.dtype.kind in "OUS":
            proto.string_data.extend(map(_text, values.reshape(-1).tolist()))
        elif isinstance(values, Payload) or raw(values).length >= self.limit:
            self.payload(proto, values)
        else:
            proto.raw_data = encode(loaded(values)).tobytes()

    def inside(self, proto: TensorProto, values: Array | Stored) -> None:
        """As `put`, for the parts of a sparse tensor, which cannot lie elsewhere."""
        self.put(proto, values)

    def message(self, proto: TensorProto, values: Message) -> None:
        """A tensor that came as a message; `proto` is a copy of it."""

    def payload(self, proto: TensorProto, held: Held) -> None:
        """A large payload."""
        self._room -= whole(held).length
        if self._room < 0:
            raise OutputError("the model has more than the 2 GB that one message can hold: save it to a file")
        put_whole(proto, held)


def put_whole(proto: TensorProto, held: Held) -> None:
    """Put the bytes themselves into a message, in the field where they were found."""
    if isinstance(held, Payload):
        proto.MergeFromString(wire.record(held.field, bytes(held.source.read(*held.place[1:]))))
    else:
        proto.raw_data = encode(loaded(held)).tobytes()


class Marked(Weights):
    """Puts markers into the message, for `wire.splice` or for reading it again."""

    def __init__(self) -> None:
        super().__init__()
        self.markers: wire.Markers[Chunk] = wire.Markers()

    def payload(self, proto: TensorProto, held: Held) -> None:
        """A marker."""
        proto.raw_data = self.markers.hold(whole(held))


class Beside(Weights):
    """Puts payloads of at least 1 KiB into a file of external data beside the model."""

    limit = 1024
    _PAGE, _LINE, _BIG = 4096, 64, 1 << 16

    def __init__(self) -> None:
        super().__init__()
        self.chunks: list[tuple[int, Chunk]] = []
        """Offset and content of each payload."""
        self.size = 0
        self._locations: list[TensorProto] = []
        self._placed: dict[Hashable, int] = {}

    def inside(self, proto: TensorProto, values: Array | Stored) -> None:
        """Into the message."""
        Weights().put(proto, values)

    def message(self, proto: TensorProto, values: Message) -> None:
        """Beside the model if it is raw and large enough."""
        content = proto.raw_data
        if len(content) >= self.limit:
            proto.ClearField("raw_data")
            place = wire.Place(wire.RAW_DATA, 0, len(content))
            self.payload(proto, Payload(values.shape, values.dtype, Memory(content), place))

    def payload(self, proto: TensorProto, held: Held) -> None:
        """Beside the model if it is large enough."""
        chunk = raw(held)
        if chunk.length < self.limit:
            put_whole(proto, held)
            return
        locate(proto, "", self._offset(chunk), chunk.length)
        self._locations.append(proto)

    def _offset(self, chunk: Chunk) -> int:
        """Where a payload goes: tensors that lie in one place still do."""
        held = chunk.held
        place = (held.source, held.place, held.dtype) if isinstance(held, Payload) else None
        known = self._placed.get(place) if place else None
        if known is not None:
            return known
        step = self._PAGE if chunk.length >= self._BIG else self._LINE
        offset = -(-self.size // step) * step
        self.chunks.append((offset, chunk))
        self.size = offset + chunk.length
        if place:
            self._placed[place] = offset
        return offset

    def name(self, location: str) -> None:
        """Say in every message what the data file is called."""
        for proto in self._locations:
            proto.external_data[0].value = location


class Referring(Beside):
    """Points at the files in which untouched payloads lie; puts only the others beside the model at `target`."""

    def __init__(self, target: Path, *, allow_outside: bool = False) -> None:
        super().__init__()
        self.files: dict[Path, str] = {}
        """Location by real path of the files pointed at."""
        self._target, self._allow_outside = target, allow_outside

    def payload(self, proto: TensorProto, held: Held) -> None:
        """Where it lies, if nobody has changed it."""
        if isinstance(held, Payload) and held.plain and isinstance(held.source, File):
            locate(proto, self._location(held.source), held.place.offset, held.place.length)
        else:
            super().payload(proto, held)

    def _location(self, file: File) -> str:
        path = Path(os.path.realpath(file.path))
        if path not in self.files:
            location = os.path.relpath(path, self._target.parent)
            if not file.is_at(path) or path == self._target:
                raise OutputError(f"{path} is being replaced, so a model cannot refer to the weights in it")
            if Path(location).parts[0] == os.pardir and not self._allow_outside:
                raise OutputError(
                    f"a model in {self._target.parent} cannot refer to weights in {path}, outside that folder: write "
                    "the model beside them, or allow it (--allow-outside, or allow_outside=True); to read it, one "
                    "then has to allow it too"
                )
            self.files[path] = location
        return self.files[path]


def locate(proto: TensorProto, location: str, offset: int, length: int) -> None:
    """Mark a tensor as lying in a file of external data."""
    proto.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        proto.external_data.add(key=key, value=value)


class Hollow(Weights):
    """Leaves payloads out: each such tensor says that it lies in a file without a name."""

    def payload(self, proto: TensorProto, held: Held) -> None:
        """Nowhere."""
        locate(proto, "", 0, raw(held).length)


def _stays(values: LazyValues) -> bool:
    """Whether the values are numbers that need not be in memory before they are written."""
    return isinstance(values, Stored) and not isinstance(values, Sparse) and values.dtype.kind not in "OUS"


def _text(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
