"""How names out of a file appear in sentences."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from graphopt.errors import ModelError

FEW = 5
"""Items of a list that are shown; the rest is counted."""
_LONGEST = 120


def quoted(name: str) -> str:
    """`name` in quotes on one line: control characters escaped, very long names cut in the middle."""
    text = repr(name)
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]}...{text[-half:]}"


def counted(number: int, thing: str) -> str:
    """`1 byte`, `12,345 bytes`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def listed(items: Iterable[str], most: int = FEW) -> str:
    """`a, b, c and 12 more`."""
    items = list(items)
    if len(items) <= most:
        return ", ".join(items)
    return f"{', '.join(items[:most])} and {len(items) - most} more"


def check_text(*texts: str | bytes) -> None:
    """Raises ModelError if one of the texts is not valid UTF-8: protobuf hands such a one out as bytes."""
    for text in texts:
        if isinstance(text, bytes):
            raise ModelError(f"the text {text[:_LONGEST]!r} in it is not valid UTF-8")


def check_texts(message: Message) -> None:
    """Raises ModelError if one of the texts anywhere inside a message is not valid UTF-8."""
    waiting = [message]
    while waiting:
        for field, value in waiting.pop().ListFields():
            values = value if field.is_repeated else (value,)
            if field.message_type is not None:
                waiting.extend(values)
            elif field.type == FieldDescriptor.TYPE_STRING:
                check_text(*values)
