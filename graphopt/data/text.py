"""Text: lines of a file through a tokenizer's file, as the arrays that language models take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from graphopt.data.batch import Chunk
from graphopt.data.files import combined, digest, unreadable
from graphopt.data.interface import Interface, Port
from graphopt.data.labels import LABEL
from graphopt.data.source import IGNORED, Field
from graphopt.errors import UsageError
from graphopt.ir.types import Array
from graphopt.ir.words import quoted

ENDINGS = (".txt",)
PADDING = ("[PAD]", "<pad>", "<|padding|>", "<|endoftext|>", "</s>")
"""Tokens with which texts are filled up, where the tokenizer's file does not say it: the first that it knows."""
KINDS: Mapping[str, tuple[str, ...]] = {
    "ids": ("input_ids", "input", "ids", "tokens"),
    "mask": ("attention_mask", "input_mask", "mask"),
    "types": ("token_type_ids", "segment_ids"),
    "positions": ("position_ids",),
}
"""Names of inputs by what they take: numbers of tokens, 1 for tokens and 0 for padding, segments, places."""
_MADE: Mapping[str, Callable[[Any], Sequence[int]]] = {
    "ids": lambda encoding: encoding.ids,
    "mask": lambda encoding: encoding.attention_mask,
    "types": lambda encoding: encoding.type_ids,
    "positions": lambda encoding: range(len(encoding.ids)),
}


@dataclass(frozen=True)
class Text:
    """The lines of a text file that are not blank, each a sample.

    Texts are cut to `length` tokens, where that is a number, and padded on the right: to `width`, or where that is None
    to the longest of a batch. If `causal`, labels are the tokens themselves, -100 where there is padding.
    """

    path: Path
    tokenizer: Path
    ports: Mapping[str, tuple[str, Port]]
    length: int | None
    width: int | None
    causal: bool

    def __post_init__(self) -> None:
        _ = self.coder

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @cached_property
    def coder(self) -> Any:
        """The tokenizer, which cuts texts and does not pad them. Raises UsageError."""
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise UsageError("text is read by tokenizers: pip install 'graphopt[text]'") from None
        if not self.tokenizer.is_file():
            raise UsageError(f"{self.tokenizer}: there is no such file")
        try:
            made = Tokenizer.from_file(str(self.tokenizer))
        except Exception as error:
            raise UsageError(f"{self.tokenizer} cannot be read as a tokenizer: {error}") from error
        if self.length is not None:
            made.enable_truncation(self.length)
        return made

    @cached_property
    def padding(self) -> int:
        """The number of the token with which texts are filled up."""
        if self.coder.padding is not None:
            return int(self.coder.padding["pad_id"])
        found = (self.coder.token_to_id(token) for token in PADDING)
        return int(next((number for number in found if number is not None), 0))

    @cached_property
    def count(self) -> int:
        """Lines that are not blank."""
        return sum(1 for _ in self._lines())

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The inputs, and the labels of a causal model."""
        shape = (self.width,)
        found = {
            name: Field(port.dtype or np.dtype(np.int64), shape, self.count) for name, (_, port) in self.ports.items()
        }
        return {**found, LABEL: Field(np.dtype(np.int64), shape, self.count)} if self.causal else found

    def cheap(self, _names: Collection[str]) -> bool:
        """Tokenizing takes time, and there is no NaN in it to look for."""
        return False

    def chunks(self, size: int, names: Collection[str]) -> Iterator[Chunk]:
        """As many lines at a time, padded to the same length."""
        lines = self._lines()
        while texts := list(islice(lines, size)):
            self.coder.no_padding()
            encodings = self.coder.encode_batch(texts)
            width = self.width or max(1, *(len(one.ids) for one in encodings))
            yield {name: self._array(name, encodings, width) for name in names}

    def _array(self, name: str, encodings: Sequence[Any], width: int) -> Array:
        kind, fill = ("ids", IGNORED) if name not in self.ports else (self.ports[name][0], 0)
        made = np.full((len(encodings), width), self.padding if name in self.ports and kind == "ids" else fill)
        for row, encoding in zip(made, encodings, strict=True):
            row[: len(encoding.ids)] = _MADE[kind](encoding)
        return made.astype(self.fields[name].dtype)

    def digest(self) -> str:
        """Of the text, the tokenizer and the length."""
        return combined(digest(self.path), digest(self.tokenizer), f"{self.length} {self.width} {self.causal}")

    def _lines(self) -> Iterator[str]:
        with unreadable(self.path, "as text", (UnicodeDecodeError,)), self.path.open(encoding="utf-8") as file:
            yield from (line.strip() for line in file if line.strip())


def text(path: Path, tokenizer: Path, model: Interface, *, length: int | None, causal: bool) -> Text:
    """The lines of a file for a model. Raises UsageError for inputs that no text is for, and sizes that differ."""
    ports = {port.name: (kind, port) for port in model.inputs if (kind := _kind(port, model)) is not None}
    sizes = {port.shape[1] for _, port in ports.values() if port.shape and len(port.shape) > 1}
    given = {size for size in sizes if isinstance(size, int)}
    if len(given) > 1:
        raise UsageError(f"{model.name} takes texts of different lengths in its inputs: {sorted(given)}")
    width = next(iter(given), None)
    if length is not None and length < 1:
        raise UsageError(f"texts are cut to at least 1 token, found {length}")
    if width is not None and length is not None and length > width:
        raise UsageError(f"{model.name} takes {width} tokens, and cannot be fed {length}")
    return Text(path, tokenizer, ports, length or width, width, causal)


def _kind(port: Port, model: Interface) -> str | None:
    """What an input takes; the only one takes the tokens, whatever its name."""
    found = next((kind for kind, names in KINDS.items() if port.name in names), None)
    if found is None and len(model.required) == 1 and port in model.required:
        found = "ids"
    if found is not None and port.dtype is not None and port.dtype.kind not in "iuf":
        raise UsageError(f"input {quoted(port.name)} is {port.dtype}, expected integers for tokens")
    return found
