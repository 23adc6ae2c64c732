"""TensorProto to `Stored`: every tensor of a model checked against its bytes, none of them decoded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import onnx
from google.protobuf.message import Message as ProtoMessage
from onnx import AttributeProto, SparseTensorProto, TensorProto

from graphopt.errors import ModelError
from graphopt.ir import dtypes, wire
from graphopt.ir.dtypes import DType
from graphopt.ir.external import Folder
from graphopt.ir.storage import Memory, Message, Payload, Source, Sparse, check_entries, encode, loaded, raw_bytes
from graphopt.ir.types import Array, Constant, Stored
from graphopt.ir.words import check_text, counted, quoted

_MAX_RANK = 64
_MAX_DIGITS = 19
_MAX_BYTES = 1 << 62
_ELEMENT_FIELDS = {
    "float_data": wire.FLOAT_DATA,
    "int32_data": wire.INT32_DATA,
    "int64_data": wire.INT64_DATA,
    "double_data": wire.DOUBLE_DATA,
    "uint64_data": wire.UINT64_DATA,
}


Find = Callable[[bytes], wire.Place | Array | Stored | None]


class Tensors:
    """The tensors of one model.

    `find` says what a marker stands for: a place in `source`, or the values themselves. External data is in `folder`.
    """

    def __init__(self, find: Find, source: Source, folder: Folder) -> None:
        self._find, self._source, self._folder = find, source, folder

    def constant(self, proto: TensorProto) -> Constant:
        """An initializer or the value of an attribute. ModelError, naming it, if it contradicts itself."""
        metadata = {entry.key: entry.value for entry in proto.metadata_props}
        check_text(proto.name, proto.doc_string, *metadata, *metadata.values())
        return Constant(proto.name, self.values(proto), doc_string=proto.doc_string, metadata=metadata)

    def sparse(self, proto: SparseTensorProto) -> Constant:
        """A sparse initializer, named after its values."""
        shape = _shape(proto.dims, proto.values.name)
        values, indices = self.values(proto.values), self.values(proto.indices)
        _check_sparse(proto, shape, values, indices)
        metadata = {entry.key: entry.value for entry in proto.values.metadata_props}
        stored = Sparse(shape, values, indices)
        return Constant(proto.values.name, stored, doc_string=proto.values.doc_string, metadata=metadata)

    def values(self, proto: TensorProto) -> Array | Stored:
        """The values of a tensor where they lie. ModelError, naming it, if they are not what it declares."""
        raw = proto.raw_data
        held = self._find(raw)
        if held is not None and not isinstance(held, wire.Place):
            return held
        try:
            return self._stored(proto, raw, held)
        except ModelError as error:
            raise type(error)(f"tensor {quoted(proto.name)}: {error}") from error

    def _stored(self, proto: TensorProto, raw: bytes, place: wire.Place | None) -> Stored:
        dtype = _dtype(proto)
        shape = _shape(proto.dims)
        if math.prod(dim for dim in shape if dim) * max(dtype.itemsize, 1) > _MAX_BYTES:
            raise ModelError(f"no machine holds its shape {list(shape)}")
        if proto.HasField("segment"):
            raise ModelError("it is one segment of a larger tensor, which nothing reads")
        if proto.data_location == TensorProto.EXTERNAL:
            return self._external(proto, dtype, shape)
        if place is not None:
            return self._payload(proto, dtype, shape, place)
        if len(raw) >= wire.CUT and dtype.kind != "O":
            _expect(raw_bytes(dtype, shape), len(raw), dtype, shape)
            return Payload(shape, dtype, Memory(raw), wire.Place(wire.RAW_DATA, 0, len(raw)))
        check_entries(proto, dtype, shape)
        copy = TensorProto()
        copy.CopyFrom(proto)
        for field in ("name", "doc_string", "metadata_props"):
            copy.ClearField(field)
        return Message(shape, dtype, copy)

    def _payload(self, proto: TensorProto, dtype: DType, shape: tuple[int, ...], place: wire.Place) -> Payload:
        if place.field != wire.RAW_DATA:
            expected = onnx.helper.tensor_dtype_to_field(proto.data_type)
            if _ELEMENT_FIELDS.get(expected) != place.field:
                raise ModelError(f"it is declared {dtypes.name(dtype)} but its values are not in {expected}")
        elif dtype.kind == "O":
            raise ModelError("it is declared string but its values are raw bytes")
        payload = Payload(shape, dtype, self._source, place)
        if payload.plain:
            _expect(raw_bytes(dtype, shape), place.length, dtype, shape)
        elif not _entries(dtype, shape) <= place.length <= 10 * _entries(dtype, shape):
            raise ModelError(f"its shape {list(shape)} does not fit its {counted(place.length, 'byte')}")
        return payload

    def _external(self, proto: TensorProto, dtype: DType, shape: tuple[int, ...]) -> Payload:
        entries = {entry.key: entry.value for entry in proto.external_data}
        if dtype.kind == "O":
            raise ModelError("strings cannot be external data")
        expected = raw_bytes(dtype, shape)
        location = entries.get("location", "")
        file = self._folder.file(location)
        offset = _number(entries, "offset", 0)
        length = _number(entries, "length", expected)
        _expect(expected, length, dtype, shape, f" in {quoted(location)}")
        if offset + length > file.size:
            raise ModelError(
                f"the data file {quoted(location)} is too short: {counted(length, 'byte')} expected at {offset:,}, "
                f"the file has {counted(file.size, 'byte')}"
            )
        self._folder.claim(file, offset, length)
        return Payload(shape, dtype, file, wire.Place(wire.RAW_DATA, offset, length), outside=True)

    def bring_in(self, message: ProtoMessage) -> None:
        """Put the external data of every tensor inside `message` into it."""
        for proto in _tensors(message):
            if proto.data_location == TensorProto.EXTERNAL:
                raw = encode(loaded(self.values(proto))).tobytes()
                proto.ClearField("data_location")
                proto.ClearField("external_data")
                proto.raw_data = raw


def _tensors(message: ProtoMessage) -> Iterable[TensorProto]:
    """Every TensorProto in a message."""
    waiting: list[ProtoMessage] = [message]
    while waiting:
        current = waiting.pop()
        if isinstance(current, TensorProto):
            yield current
            continue
        for field, value in current.ListFields():
            if field.message_type is None:
                continue
            waiting.extend(value if field.is_repeated else (value,))


def _dtype(proto: TensorProto) -> DType:
    try:
        return dtypes.numpy_dtype(proto.data_type)
    except KeyError:
        raise ModelError(f"element type {proto.data_type} does not exist") from None


def _shape(dims: Iterable[int], name: str | None = None) -> tuple[int, ...]:
    shape = tuple(dims)
    where = "" if name is None else f"tensor {quoted(name)}: "
    if len(shape) > _MAX_RANK:
        raise ModelError(f"{where}it has {len(shape)} dimensions, more than the {_MAX_RANK} that arrays can have")
    if any(dim < 0 for dim in shape):
        raise ModelError(f"{where}its shape {list(shape)} has a negative dimension")
    return shape


def _number(entries: dict[str, str], key: str, default: int) -> int:
    text = entries.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise ModelError(f"the {key} {quoted(text)} of its external data is not a number of bytes")
    return int(text)


def _entries(dtype: DType, shape: tuple[int, ...]) -> int:
    """Entries of the typed field of a tensor."""
    per_entry = max(8 // dtypes.bits(dtype), 1)
    return -(-math.prod(shape) // per_entry)


def _expect(expected: int, found: int, dtype: DType, shape: tuple[int, ...], where: str = "") -> None:
    if expected != found:
        raise ModelError(
            f"its shape {list(shape)} of {dtypes.name(dtype)} needs {counted(expected, 'byte')}, "
            f"it has {found:,}{where}"
        )


def _check_sparse(
    proto: SparseTensorProto, shape: tuple[int, ...], values: Array | Stored, indices: Array | Stored
) -> None:
    count = values.shape
    fits = len(count) == 1 and indices.shape in (count, (*count, len(shape)))
    if not fits or indices.dtype != "int64":
        raise ModelError(
            f"sparse tensor {quoted(proto.values.name)}: values of shape {list(values.shape)} do not go with "
            f"{dtypes.name(indices.dtype)} indices of shape {list(indices.shape)}"
        )


def attribute_kind(proto: AttributeProto) -> AttributeProto.AttributeType:
    """The type of an attribute; found from its content in files that are too old to say it."""
    if proto.type:
        return proto.type
    for field, kind in _CONTENT.items():
        held = getattr(proto, field)
        if proto.HasField(field) if field in _SINGLE else len(held):
            return kind
    return AttributeProto.UNDEFINED


_CONTENT: dict[str, AttributeProto.AttributeType] = {
    "f": AttributeProto.FLOAT,
    "i": AttributeProto.INT,
    "s": AttributeProto.STRING,
    "t": AttributeProto.TENSOR,
    "g": AttributeProto.GRAPH,
    "floats": AttributeProto.FLOATS,
    "ints": AttributeProto.INTS,
    "strings": AttributeProto.STRINGS,
    "tensors": AttributeProto.TENSORS,
    "graphs": AttributeProto.GRAPHS,
}
_SINGLE = frozenset(("f", "i", "s", "t", "g"))
