"""Files of external data: found beside the model, opened once each, never outside its folder unasked."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from graphopt.errors import ModelError, UnsafeModelError
from graphopt.ir import walk
from graphopt.ir.model import Model
from graphopt.ir.storage import File, Payload
from graphopt.ir.types import Constant
from graphopt.ir.words import counted, quoted

OVERLAP, SLACK = 4, 1 << 26
"""Tensors may share so many times what a data file holds, and so many bytes."""


class Folder:
    """The data files of one model, by location. `model` is its path, or None if it did not come from a file."""

    def __init__(self, model: Path | None, *, allow_outside: bool = False) -> None:
        self._model = model
        self._allow_outside = allow_outside
        self._files: dict[Path, File] = {}
        self._locations: dict[str, File] = {}
        self._claimed: dict[File, dict[tuple[int, int], None]] = {}
        self._bytes: Counter[File] = Counter()

    def file(self, location: str) -> File:
        """The file at `location`. Raises ModelError if it is missing, UnsafeModelError if it lies outside."""
        found = self._locations.get(location)
        if found is None:
            path = self._resolve(location)
            found = self._files.get(path)
            if found is None:
                found = self._files[path] = self._open(path, location)
            self._locations[location] = found
        return found

    def claim(self, file: File, offset: int, length: int) -> None:
        """Take note that a tensor lies there; a place counts once, however many tensors share it.

        Raises UnsafeModelError where tensors overlap so much that the result would be many times as large as the file.
        """
        claimed = self._claimed.setdefault(file, {})
        if (offset, length) not in claimed:
            claimed[offset, length] = None
            self._bytes[file] += length
        if self._bytes[file] > OVERLAP * file.size + SLACK:
            raise UnsafeModelError(
                f"its data overlap with that of others: together they would be more than {OVERLAP} times as large as "
                f"the file in which they lie ({counted(file.size, 'byte')})"
            )

    def _resolve(self, location: str) -> Path:
        if self._model is None:
            raise ModelError("its values lie in a separate file: load the model from its path, not from memory")
        if not location or "\0" in location:
            raise ModelError(f"{quoted(location)} is not the name of a data file")
        folder = self._model.parent
        path = Path(os.path.realpath(folder / location))
        # A cache of links keeps the model and its data together in another folder: that one is as good.
        homes = {Path(os.path.realpath(folder)), Path(os.path.realpath(self._model)).parent}
        if not self._allow_outside and not any(path.is_relative_to(home) for home in homes):
            raise UnsafeModelError(
                f"the data file {quoted(location)} lies outside the model's folder ({path}): allow this only for "
                "models that you trust (--allow-outside, or allow_outside=True)"
            )
        return path

    def _open(self, path: Path, location: str) -> File:
        try:
            return File(path)
        except FileNotFoundError:
            raise ModelError(f"the data file {quoted(location)} is missing (looked for {path})") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ModelError(f"the data file {quoted(location)} cannot be read: {reason}") from error


def weight_files(model: Model) -> list[Path]:
    """The files of external data in which weights of `model` lie."""
    held = (tensor.stored for tensor in walk.tensors(model.graph) if isinstance(tensor, Constant))
    outside = (one.source for one in held if isinstance(one, Payload) and one.outside)
    return list(dict.fromkeys(source.path for source in outside if isinstance(source, File)))


def bytes_on_disk(model: Model) -> int | None:
    """Bytes of the file that a model was read from and of those in which its weights lie; None without a file."""
    if model.path is None:
        return None
    return sum(path.stat().st_size for path in (model.path, *weight_files(model)))
