"""Seeded damage to a file: bits, cuts, ranges moved about, and fields of the protobuf messages in it."""

from __future__ import annotations

import random
from collections.abc import Callable

from graphopt.ir.wire import record, varint

Spot = tuple[int, int, int, int]
"""A field: where its tag begins, where its value begins and ends, and its wire type."""

_DEPTH = 12
_INTERESTING = (0, 1, 2, 7, 16, 127, 128, 255, 2**16, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_LONG = 64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def damaged(content: bytes, rng: random.Random) -> bytes:
    """`content` with one to four things wrong with it; fields twice as often as anything else."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        content = rng.choice(_KINDS)(content, rng) or b"\0"
    return content


def flip(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes((content[at] ^ 1 << rng.randrange(8),)) + content[at + 1 :]


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def _range(content: bytes, rng: random.Random) -> tuple[int, int]:
    at = rng.randrange(len(content))
    return at, min(at + rng.choice((1, 2, 8, 64, 1000)), len(content))


def remove(content: bytes, rng: random.Random) -> bytes:
    begin, end = _range(content, rng)
    return content[:begin] + content[end:]


def repeat(content: bytes, rng: random.Random) -> bytes:
    begin, end = _range(content, rng)
    return content[:end] + content[begin:end] * rng.choice((1, 1, 5)) + content[end:]


def swap(content: bytes, rng: random.Random) -> bytes:
    (a, b), (c, d) = sorted((_range(content, rng), _range(content, rng)))
    return content if c < b else content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def field(content: bytes, rng: random.Random) -> bytes:
    """Change, remove, repeat or exchange a field of a message at any depth; lengths around it stay right."""
    path = _descent(content, rng)
    if not path:
        return flip(content, rng)
    (tag, begin, end, wire), message = path[-1]
    value = _CHANGES[rng.randrange(len(_CHANGES))](message, (tag, begin, end, wire), rng)
    for (outer_tag, _, outer_end, _), outer in reversed(path[:-1]):
        number = _varint(outer, outer_tag)[0] >> 3
        value = outer[:outer_tag] + record(number, value) + outer[outer_end:]
    return value


def _descent(content: bytes, rng: random.Random) -> list[tuple[Spot, bytes]]:
    """Fields from the outside in, each with the message that it is in; the last is the one to change."""
    path: list[tuple[Spot, bytes]] = []
    message = content
    while len(path) < _DEPTH and (spots := _fields(message)):
        spot = rng.choice(spots)
        path.append((spot, message))
        _, begin, end, wire = spot
        if wire != _BYTES or rng.random() < 0.15 or not _fields(message[begin:end]):
            break
        message = message[begin:end]
    return path


def _fields(message: bytes) -> list[Spot]:
    """The fields of a message; none if it is no message."""
    spots, at = [], 0
    try:
        while at < len(message):
            tag, begin = _varint(message, at)
            wire = tag & 7
            if wire == _BYTES:
                size, begin = _varint(message, begin)
                end = begin + size
            elif wire == _VARINT:
                end = _varint(message, begin)[1]
            else:
                end = begin + {_FIXED64: 8, _FIXED32: 4}[wire]
            if end > len(message) or not tag >> 3:
                return []
            spots.append((at, begin, end, wire))
            at = end
    except (IndexError, KeyError):
        return []
    return spots


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place behind it. Raises IndexError where there is none."""
    number = shift = 0
    while True:
        byte = content[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
        if shift >= _LONG + 6:
            raise IndexError(at)


def _change_value(message: bytes, spot: Spot, rng: random.Random) -> bytes:
    tag, begin, end, wire = spot
    if wire == _VARINT:
        old = _varint(message, begin)[0]
        new = rng.choice((*_INTERESTING, old + 1, max(old - 1, 0), old * 2))
        return message[:begin] + varint(new & (1 << _LONG) - 1) + message[end:]
    if wire == _BYTES:
        number = _varint(message, tag)[0] >> 3
        return message[:tag] + record(number, _other_bytes(message[begin:end], rng)) + message[end:]
    return message[:begin] + rng.choice((b"\0", b"\xff", b"\x7f")) * (end - begin) + message[end:]


def _other_bytes(value: bytes, rng: random.Random) -> bytes:
    choices = (b"", value * 2, value[: len(value) // 2], value[:-1], value + b"\x01", b"\xff\xfe", b"x" * 300)
    return rng.choice((*choices, flip(value, rng) if value else b"a"))


def _remove_field(message: bytes, spot: Spot, rng: random.Random) -> bytes:
    return message[: spot[0]] + message[spot[2] :]


def _repeat_field(message: bytes, spot: Spot, rng: random.Random) -> bytes:
    return message[: spot[2]] + message[spot[0] : spot[2]] * rng.choice((1, 1, 30)) + message[spot[2] :]


def _exchange_fields(message: bytes, spot: Spot, rng: random.Random) -> bytes:
    """The value of another field of the same message, under this field's number."""
    other = rng.choice(_fields(message))
    if other[3] != spot[3]:
        return message[: spot[0]] + message[other[0] : other[2]] + message[spot[2] :]
    return message[: spot[0]] + _tagged(message, spot, message[other[1] : other[2]]) + message[spot[2] :]


def _tagged(message: bytes, spot: Spot, value: bytes) -> bytes:
    tag = _varint(message, spot[0])[0]
    return record(tag >> 3, value) if spot[3] == _BYTES else varint(tag) + value


def _renumber(message: bytes, spot: Spot, rng: random.Random) -> bytes:
    _, begin, end, wire = spot
    number = rng.randrange(1, 26)
    value = message[begin:end]
    new = record(number, value) if wire == _BYTES else varint(number << 3 | wire) + value
    return message[: spot[0]] + new + message[end:]


_CHANGES: tuple[Callable[[bytes, Spot, random.Random], bytes], ...] = (
    _change_value,
    _change_value,
    _change_value,
    _remove_field,
    _repeat_field,
    _exchange_fields,
    _renumber,
)
_KINDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip, flip, cut, remove, repeat, swap, field, field, field, field, field, field, field,
)  # fmt: skip
