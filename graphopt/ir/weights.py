"""Where the payload of each tensor goes when a model is written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto
from onnx_graphsurgeon.ir.tensor import LazyValues

from graphopt.errors import OutputError
from graphopt.ir import dtypes, wire
from graphopt.ir.storage import File, Memory, Message, Payload, encode, message, raw_bytes
from graphopt.ir.types import Array, Stored

Held = Payload | Array


@dataclass(frozen=True)
class Chunk:
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
    """Puts all payloads into the message itself."""

    limit = wire.CUT
    """Arrays of fewer bytes are always put into the message."""

    def put(self, proto: TensorProto, values: Array | LazyValues) -> None:
        """Fill in dims, data_type and the payload, or where it is."""
        if isinstance(values, Message):
            proto.CopyFrom(values.proto)
            self.message(proto, values)
            return
        if isinstance(values, LazyValues) and not isinstance(values, Payload):
            values = values.load()
        proto.dims.extend([int(dim) for dim in values.shape])
        proto.data_type = dtypes.elem_type(values.dtype)
        if values.dtype.kind in "OUS":
            proto.string_data.extend(map(_text, values.reshape(-1).tolist()))
        elif isinstance(values, Payload) or raw(values).length >= self.limit:
            self.payload(proto, values)
        else:
            proto.raw_data = encode(values).tobytes()

    def inside(self, proto: TensorProto, values: Stored) -> None:
        """As `put`, for the parts of a sparse tensor, which cannot lie elsewhere."""
        self.put(proto, values)

    def message(self, proto: TensorProto, values: Message) -> None:
        """A tensor that came as a message; `proto` is a copy of it."""

    def payload(self, proto: TensorProto, held: Held) -> None:
        """A large payload."""
        put_whole(proto, held)


def put_whole(proto: TensorProto, held: Held) -> None:
    """Put the bytes themselves into a message, in the field where they were found."""
    if isinstance(held, Payload):
        proto.MergeFromString(wire.record(held.field, bytes(held.source.read(*held.place[1:]))))
    else:
        proto.raw_data = encode(held).tobytes()


class Marked(Weights):
    """Puts markers into the message, for `wire.splice` or for reading it again."""

    def __init__(self) -> None:
        self.markers: wire.Markers[Chunk] = wire.Markers()

    def payload(self, proto: TensorProto, held: Held) -> None:
        proto.raw_data = self.markers.hold(whole(held))


class Beside(Weights):
    """Puts payloads of at least 1 KiB into a file of external data beside the model."""

    limit = 1024
    _PAGE, _LINE, _BIG = 4096, 64, 1 << 16

    def __init__(self) -> None:
        self.chunks: list[tuple[int, Chunk]] = []
        """Offset and content of each payload."""
        self.size = 0
        self._locations: list[TensorProto] = []

    def inside(self, proto: TensorProto, values: Stored) -> None:
        Weights().put(proto, values)

    def message(self, proto: TensorProto, values: Message) -> None:
        content = proto.raw_data
        if len(content) >= self.limit:
            proto.ClearField("raw_data")
            place = wire.Place(wire.RAW_DATA, 0, len(content))
            self.payload(proto, Payload(values.shape, values.dtype, Memory(content), place))

    def payload(self, proto: TensorProto, held: Held) -> None:
        chunk = raw(held)
        if chunk.length < self.limit:
            put_whole(proto, held)
            return
        step = self._PAGE if chunk.length >= self._BIG else self._LINE
        offset = -(-self.size // step) * step
        self.chunks.append((offset, chunk))
        self.size = offset + chunk.length
        locate(proto, "", offset, chunk.length)
        self._locations.append(proto)

    def name(self, location: str) -> None:
        """Say in every message what the data file is called."""
        for proto in self._locations:
            proto.external_data[0].value = location


def locate(proto: TensorProto, location: str, offset: int, length: int) -> None:
    """Mark a tensor as lying in a file of external data."""
    proto.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        proto.external_data.add(key=key, value=value)


class Hollow(Weights):
    """Leaves payloads out: each such tensor says that it lies in a file without a name."""

    def payload(self, proto: TensorProto, held: Held) -> None:
        locate(proto, "", 0, raw(held).length)


def _text(text: object) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)  # type: ignore[call-overload,no-any-return]
