"""Initializers with the same values."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Hashable, Iterable, Iterator

from graphopt.ir import walk
from graphopt.ir.dtypes import bits
from graphopt.ir.edit import Rewrite
from graphopt.ir.joined import Joined
from graphopt.ir.storage import File, Payload, Sparse, encode, raw_bytes
from graphopt.ir.types import Array, Constant, Graph
from graphopt.numerics.contract import Exact
from graphopt.pipeline.context import Context
from graphopt.pipeline.journal import Status, Verdict

EQUAL = Verdict(Status.VERIFIED, 0.0, "every byte was compared")
PIECE = 1 << 20
"""Bytes that are read at once."""
BYTE = 8
"""Bits; elements of fewer are packed."""
END = 1 << 12
"""Bytes at either end that are compared first."""


def duplicate_initializers(context: Context) -> None:
    """Initializers of the same type, shape and bytes are one, unless a graph must return both."""
    homes: dict[Constant, Graph] = {}
    for graph in walk.graphs(context.editor.graph):
        for held in graph.initializers:
            homes.setdefault(held, graph)
    groups = [list(homes)]
    for kind in (_declaration, _ends, _digest):
        groups = [part for group in groups for part in _parts(group, kind)]
    for group in groups:
        _merge(context, group, homes)


def _merge(context: Context, equal: list[Constant], homes: dict[Constant, Graph]) -> None:
    """Let the first of `equal`, one that a graph returns if there is one, stand for all that can see it."""
    editor = context.editor
    equal.sort(key=lambda held: not editor.is_output(held))
    kept = next((held for held in equal if homes[held] is editor.graph), equal[0])
    for other in equal:
        visible = homes[kept] in (editor.graph, homes[other])
        if other is kept or not visible or editor.is_output(other) or not other.outputs:
            continue
        root = other.outputs[0]
        rewrite = Rewrite(editor.home[root], root, (), (), {other: kept}, frozenset((kept, other)))
        context.apply(rewrite, "duplicate_initializers", Exact(), EQUAL)


def _parts(constants: Iterable[Constant], kind: Callable[[Constant], Hashable]) -> list[list[Constant]]:
    """Two or more constants of one kind each, in order; those whose kind is None are left out."""
    parts: dict[Hashable, list[Constant]] = {}
    for constant in constants:
        parts.setdefault(kind(constant), []).append(constant)
    parts.pop(None, None)
    return [part for part in parts.values() if len(part) > 1]


def _declaration(constant: Constant) -> Hashable:
    """What is joined unread can only equal what has the same parts: equal parts are one already."""
    held = constant.stored
    joined = held.sources if isinstance(held, Joined) else ()
    return None if isinstance(held, Sparse) else (constant.dtype, constant.shape, joined)


def _ends(constant: Constant) -> Hashable:
    if constant.dtype.kind == "O":
        return tuple(text.encode() if isinstance(text, str) else text for text in constant.values.reshape(-1))
    content = _Content(constant)
    return b"".join((*content.read(0, END), *content.read(max(content.length - END, 0), content.length)))


def _digest(constant: Constant) -> Hashable:
    if constant.dtype.kind == "O":
        return _ends(constant)
    content, digest = _Content(constant), hashlib.sha256()
    for piece in content.read(0, content.length):
        digest.update(piece)
    return digest.digest()


class _Content:
    """The raw_data of a constant in pieces: what lies in a file is not mapped, what is only moved not rearranged."""

    def __init__(self, constant: Constant) -> None:
        held = constant.stored
        self.payload = held if isinstance(held, Payload) and held.plain and isinstance(held.source, File) else None
        self.length = raw_bytes(constant.dtype, tuple(constant.shape))
        self.array: Array | None = None
        if self.payload is None:
            whole_bytes = bits(constant.dtype) % BYTE == 0
            self.array = constant.values if whole_bytes else encode(constant.values)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` to `stop`, or to the end; both at the border of an element."""
        for at in range(start, min(stop, self.length), PIECE):
            end = min(at + PIECE, stop, self.length)
            if self.array is not None:
                size = self.array.itemsize
                yield encode(self.array.flat[at // size : end // size]).tobytes()
            elif self.payload is not None and isinstance(self.payload.source, File):
                self.payload.source.check()
                yield os.pread(self.payload.source.fd, end - at, self.payload.place.offset + at)
