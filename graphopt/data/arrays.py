"""Files of arrays, whichever their format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from graphopt.data.interface import Interface
from graphopt.data.npy import Npy
from graphopt.data.npz import Npz
from graphopt.data.safetensors import Safetensors
from graphopt.data.source import Source


class Shaped(Protocol):
    """What is known of an array before it is read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        ...


class ArrayFile(Source, Protocol):
    """A source that is one file of arrays."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def headers(self) -> Mapping[str, Shaped]:
        """What is known of each array, by name."""
        ...


class Reader(Protocol):
    """Opens files of arrays."""

    def __call__(self, path: Path, *, single: bool = False) -> ArrayFile:
        """The file; single: it is one sample, and its arrays have no axis for samples."""
        ...


READERS: Mapping[str, Reader] = {".npz": Npz, ".npy": Npy, ".safetensors": Safetensors}
"""By the ending of a file's name."""


def reader_of(path: Path) -> Reader | None:
    """What reads a file, or None."""
    return READERS.get(path.suffix.lower())


def is_sample(file: ArrayFile, model: Interface) -> bool:
    """Whether a file is one sample: its arrays have as many axes as one sample of the input."""
    headers = dict(file.headers)
    if len(headers) == len(model.required) == 1:
        headers = {model.required[0].name: next(iter(headers.values()))}
    for port in model.required:
        if port.shape is not None and port.name in headers:
            return len(headers[port.name].shape) == len(port.shape) - int(model.batched)
    return False
