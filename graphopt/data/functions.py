"""Data out of a function of the user's, named `module:function`."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from itertools import chain
from typing import Any

import numpy as np

from graphopt.data.batch import Chunk
from graphopt.data.interface import Interface
from graphopt.data.source import LABELS, Field
from graphopt.errors import GraphoptError, UsageError
from graphopt.ir.words import quoted

_PAIR = 2


def is_function(text: str) -> bool:
    """Whether a text has the form `module:function`."""
    module, colon, function = text.partition(":")
    return bool(colon) and function.isidentifier() and all(part.isidentifier() for part in module.split("."))


def found_function(text: str) -> Any:
    """What `module:function` names. Raises UsageError if there is no such thing, or importing it fails."""
    module, _, function = text.partition(":")
    try:
        return getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            raise UsageError(f"{text}: there is no module {quoted(error.name)}") from error
        raise UsageError(f"{text} cannot be imported: {told(error)}") from error
    except AttributeError as error:
        raise UsageError(f"{text}: {told(error)}") from error
    except Exception as error:
        raise UsageError(f"{text} cannot be imported: {told(error)}") from error


def told(error: Exception) -> str:
    """What another's code raised, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


@dataclass(frozen=True)
class Function:
    """The samples that a function gives: an iterable, made anew by each call.

    Its items are feeds, or pairs of feeds and labels. Feeds are arrays by name, or one array for a model with one
    input. An array with as many axes as the input is a batch; one with an axis less is a sample, and so is its label.
    """

    name: str
    call: Callable[[], Iterable[Any]]
    model: Interface

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The arrays of the first item. Raises UsageError if there is none."""
        for chunk in self._items():
            return {name: Field(array.dtype, array.shape[1:]) for name, array in chunk.items()}
        raise UsageError(f"{self.name} gave no samples")

    def cheap(self, _names: Collection[str]) -> bool:
        """Nobody knows what a call costs."""
        return False

    def chunks(self, size: int, names: Collection[str]) -> Iterator[Chunk]:
        """The named arrays of one item after the other."""
        for chunk in self._items():
            for name in names:
                if name not in chunk:
                    raise UsageError(f"{self.name}: an item has no {quoted(name)}, though the first one has it")
            count = len(chunk[next(iter(names))])
            for start in range(0, count, size):
                yield {name: chunk[name][start : start + size] for name in names}

    def digest(self) -> str:
        """Of all that the function gives."""
        made = hashlib.sha256()
        for chunk in self._items():
            for name, array in chunk.items():
                made.update(f"{name} {array.dtype} {array.shape}".encode())
                made.update(
                    repr(array.tolist()).encode() if array.dtype.hasobject else np.ascontiguousarray(array).data
                )
        return made.hexdigest()

    def _items(self) -> Iterator[Chunk]:
        """Items as chunks. Raises UsageError that tells what the function raised."""
        try:
            for number, item in enumerate(self.call()):
                yield self._chunk(number, item)
        except GraphoptError:
            raise
        except Exception as error:
            raise UsageError(f"{self.name} failed: {told(error)}") from error

    def _chunk(self, number: int, item: Any) -> Chunk:
        feeds, label = item if isinstance(item, tuple) and len(item) == _PAIR else (item, None)
        if not isinstance(feeds, Mapping):
            if len(self.model.required) != 1:
                names = ", ".join(quoted(port.name) for port in self.model.required)
                raise UsageError(
                    f"{self.name}: item {number} is {type(feeds).__name__}; {self.model.name} has the inputs {names}, "
                    "so an item must be a dict of arrays by name, or a pair of that and labels"
                )
            feeds = {self.model.required[0].name: feeds}
        chunk = {str(name): np.asarray(array) for name, array in feeds.items()}
        if label is not None:
            chunk[LABELS[0]] = np.asarray(label)
        if self._is_sample(chunk):
            chunk = {name: array[None] for name, array in chunk.items()}
        if len({array.shape[:1] for array in chunk.values()}) > 1:
            sizes = ", ".join(f"{quoted(name)} {list(array.shape)}" for name, array in chunk.items())
            raise UsageError(f"{self.name}: the arrays of item {number} have different numbers of samples: {sizes}")
        return chunk

    def _is_sample(self, chunk: Chunk) -> bool:
        """Whether an item is one sample, by the number of axes of its first array and of the input of that name."""
        name, array = next(iter(chunk.items()))
        known = {port.name: port.shape for port in self.model.inputs}
        shape = known.get(name, next(iter(known.values()), None))
        return array.ndim == 0 or (shape is not None and array.ndim == len(shape) - int(self.model.batched))


def function(text: str, model: Interface) -> Function:
    """The data of `module:function`. Raises UsageError for what is no function, or gives nothing to iterate over."""
    call = found_function(text)
    if not callable(call):
        raise UsageError(f"{text} is {type(call).__name__}, not a function")
    return Function(text, _called(text, call), model)


def _called(text: str, call: Callable[[], Any]) -> Callable[[], Iterable[Any]]:
    def items() -> Iterable[Any]:
        made = call()
        try:
            return chain(iter(made))
        except TypeError:
            raise UsageError(f"{text} gave {type(made).__name__}, expected something to iterate over") from None

    return items
