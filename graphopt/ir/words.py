"""How names out of a file appear in sentences."""

from __future__ import annotations

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
