"""The protobuf wire format, without the weights.

`cut` copies a serialised model with every large payload replaced by a short marker: the skeleton, which
protobuf parses in no time. `splice` is its inverse: it finds the markers in a serialised skeleton and
says which pieces, one after the other, make up the whole file. Neither holds a payload.

A marker is the raw_data of a tensor: an unguessable token and an index, so no file can contain one.
"""

from __future__ import annotations

import secrets
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar, overload

from graphopt.errors import ModelError
from graphopt.ir.words import counted

T = TypeVar("T")

CUT = 4096
"""Payloads of at least this many bytes stay in the file."""
DEPTH = 100
"""Messages nested deeper than this are refused, here as in protobuf."""

FLOAT_DATA, INT32_DATA, INT64_DATA, RAW_DATA, DOUBLE_DATA, UINT64_DATA = 4, 5, 7, 9, 10, 11
_PAYLOADS = frozenset((FLOAT_DATA, INT32_DATA, 6, INT64_DATA, RAW_DATA, DOUBLE_DATA, UINT64_DATA))
_STRING_DATA = 6

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TOKEN, _INDEX = 16, 8
_MARKER = _TOKEN + _INDEX
_HEADER = bytes((RAW_DATA << 3 | _BYTES, _MARKER))
_LONGEST_VARINT = 10
_MORE = 0x80


class Buffer(Protocol):
    """Bytes, or a mapped file."""

    @overload
    def __getitem__(self, index: int, /) -> int: ...
    @overload
    def __getitem__(self, index: slice, /) -> bytes: ...
    def __len__(self) -> int: ...


class Place(NamedTuple):
    """A payload in a buffer: `field` of a TensorProto, `length` bytes at `offset`."""

    field: int
    offset: int
    length: int


@dataclass
class Markers(Generic[T]):
    """What the markers of one skeleton stand for."""

    held: list[T] = field(default_factory=list)
    token: bytes = field(default_factory=lambda: secrets.token_bytes(_TOKEN))

    def hold(self, thing: T) -> bytes:
        """A new marker, which stands for `thing`."""
        self.held.append(thing)
        return self.token + (len(self.held) - 1).to_bytes(_INDEX, "little")

    def find(self, raw: bytes) -> T | None:
        """What `raw` stands for, if it is a marker."""
        if len(raw) != _MARKER or not raw.startswith(self.token):
            return None
        return self.held[int.from_bytes(raw[_TOKEN:], "little")]


class _Kind:
    """A message type: the fields on the way to weights, and those that must not come twice."""

    def __init__(self, name: str, *single: int) -> None:
        self.name = name
        self.single = single
        self.children: dict[int, _Kind] = {}


def _kinds() -> tuple[_Kind, _Kind]:
    model, graph, node = _Kind("model"), _Kind("graph"), _Kind("node")
    attribute = _Kind("attribute", 5, 6)
    tensor, sparse = _Kind("tensor"), _Kind("sparse tensor", 1, 2)
    model.children = {7: graph}
    graph.children = {1: node, 5: tensor, 15: sparse}
    node.children = {5: attribute}
    attribute.children = {5: tensor, 6: graph, 10: tensor, 11: graph}
    sparse.children = {1: tensor, 2: tensor}
    return model, tensor


_MODEL, _TENSOR = _kinds()


def cut(buffer: Buffer) -> tuple[bytes, Markers[Place]]:
    """The serialised model in `buffer` with its large payloads cut out, and where those are.

    Raises ModelError where a message does not fit into the one around it, or nests too deep.
    """
    markers: Markers[Place] = Markers()
    return _Cutter(buffer, markers).message(_MODEL, 0, len(buffer), 1), markers


class _Cutter:
    def __init__(self, buffer: Buffer, markers: Markers[Place]) -> None:
        self.buffer, self.markers = buffer, markers

    def message(self, kind: _Kind, begin: int, end: int, depth: int) -> bytes:
        """The message in buffer[begin:end] without its large payloads."""
        if depth > DEPTH:
            raise ModelError(f"the model nests graphs deeper than {DEPTH} messages, more than protobuf allows")
        if kind is _TENSOR:
            return self.tensor(begin, end)
        pieces: list[bytes] = []
        copied = begin
        seen: set[int] = set()
        for number, start, content, stop in _fields(self.buffer, begin, end, kind.name):
            if number in kind.single:
                if number in seen:
                    raise ModelError(f"the {kind.name} at byte {begin:,} of the file has two values")
                seen.add(number)
            child = kind.children.get(number)
            if child is None or stop - content < CUT:
                continue
            inner = self.message(child, content, stop, depth + 1)
            if len(inner) < stop - content:
                pieces += (self.buffer[copied:start], varint(number << 3 | _BYTES), varint(len(inner)), inner)
                copied = stop
        return b"".join((*pieces, self.buffer[copied:end]))

    def tensor(self, begin: int, end: int) -> bytes:
        """A tensor with a marker for its payload; one whose payload comes in several pieces stays as it is."""
        payloads = [found for found in _fields(self.buffer, begin, end, "tensor") if found[0] in _PAYLOADS]
        if len(payloads) != 1 or payloads[0][0] == _STRING_DATA:
            return self.buffer[begin:end]
        number, start, content, stop = payloads[0]
        if stop - content < CUT:
            return self.buffer[begin:end]
        marker = self.markers.hold(Place(number, content, stop - content))
        return b"".join((self.buffer[begin:start], _HEADER, marker, self.buffer[stop:end]))


class Sized(Protocol):
    """A payload as `splice` sees it."""

    @property
    def field(self) -> int:
        """The field of TensorProto that holds it."""

    @property
    def length(self) -> int:
        """Its bytes."""


P = TypeVar("P", bound=Sized)


def splice(skeleton: bytes, markers: Markers[P]) -> list[bytes | P]:
    """The pieces of the whole message, in order: bytes of the skeleton, and the payloads between them."""
    found, at = [], skeleton.find(markers.token)
    while at >= 0:
        found.append(at)
        at = skeleton.find(markers.token, at + _MARKER)
    pieces, _ = _Splicer(skeleton, markers, found).message(0, len(skeleton), 0, len(found))
    return pieces


class _Splicer(Generic[P]):
    def __init__(self, skeleton: bytes, markers: Markers[P], found: Sequence[int]) -> None:
        self.skeleton, self.markers, self.found = skeleton, markers, found

    def message(self, begin: int, end: int, first: int, last: int) -> tuple[list[bytes | P], int]:
        """The message in skeleton[begin:end], which has the markers found[first:last]; and its full length."""
        pieces: list[bytes | P] = []
        copied, length = begin, end - begin
        fields = _fields(self.skeleton, begin, end, "message")
        while first < last:
            number, start, content, stop = next(f for f in fields if f[3] > self.found[first])
            inside = bisect_left(self.found, stop, first, last)
            inner, size = self.field(content, stop, first, inside)
            number = number if isinstance(inner[0], bytes) else inner[0].field
            header = varint(number << 3 | _BYTES) + varint(size)
            pieces += (self.skeleton[copied:start], header, *inner)
            length += len(header) + size - (stop - start)
            copied, first = stop, inside
        pieces.append(self.skeleton[copied:end])
        return pieces, length

    def field(self, content: int, stop: int, first: int, last: int) -> tuple[list[bytes | P], int]:
        """The content of a field that has a marker: that payload itself, or a message around it."""
        if content != self.found[first]:
            return self.message(content, stop, first, last)
        payload = self.markers.find(self.skeleton[content:stop])
        if payload is None:
            raise AssertionError("a marker without a payload")
        return [payload], payload.length


def _fields(buffer: Buffer, begin: int, end: int, where: str) -> Iterator[tuple[int, int, int, int]]:
    """Fields of the message in buffer[begin:end]: number, start, start of the content, end."""
    at = begin
    while at < end:
        start = at
        tag, at = _read(buffer, at, end, where)
        kind = tag & 7
        if kind == _BYTES:
            length, at = _read(buffer, at, end, where)
            stop = at + length
        elif kind == _VARINT:
            stop = _read(buffer, at, end, where)[1]
        elif kind in (_FIXED32, _FIXED64):
            stop = at + (4 if kind == _FIXED32 else 8)
        else:
            raise ModelError(f"the file is damaged: no protobuf field starts at byte {start:,}, in the {where}")
        if stop > end:
            raise ModelError(_short(where, start, stop - end, outermost=begin == 0 and end == len(buffer)))
        yield tag >> 3, start, at, stop
        at = stop


def _short(where: str, start: int, missing: int, *, outermost: bool) -> str:
    if outermost:
        return f"the file is truncated: what starts at byte {start:,} needs {counted(missing, 'more byte')}"
    return f"the file is damaged: a field of the {where} at byte {start:,} is {counted(missing, 'byte')} too long"


def _read(buffer: Buffer, at: int, end: int, where: str) -> tuple[int, int]:
    """The varint at `at`, and where it ends."""
    value = shift = 0
    while at < end and shift < 7 * _LONGEST_VARINT:
        byte = buffer[at]
        at += 1
        value |= (byte & (_MORE - 1)) << shift
        if byte < _MORE:
            return value, at
        shift += 7
    raise ModelError(f"the file is damaged or truncated at byte {at:,}, in the {where}")


def varint(number: int) -> bytes:
    """A number as protobuf writes it: seven bits a byte, the lowest first."""
    written = bytearray()
    while number >= _MORE:
        written.append(number & (_MORE - 1) | _MORE)
        number >>= 7
    written.append(number)
    return bytes(written)


def record(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | _BYTES) + varint(len(content)) + content
