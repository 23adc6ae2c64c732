"""Weights that a pass has made, kept in a file instead of memory until the model is written."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref

import numpy as np

from graphopt.errors import OutputError
from graphopt.ir import wire
from graphopt.ir.storage import Payload, encode
from graphopt.ir.types import Array, Stored

LEAST = 1 << 16
"""Arrays of fewer bytes stay in memory."""


class Scratch:
    """A file without a name, which vanishes with the last tensor that lies in it. A `Source` of what was put in."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._end = 0

    def put(self, array: Array) -> Array | Stored:
        """The array as a tensor's values: itself if it is small, else where it lies now.

        Raises OutputError where there is no room for it.
        """
        if array.nbytes < LEAST:
            return array
        content = encode(array).data
        start, self._end = self._end, self._end + len(content)
        self._end += -self._end % mmap.ALLOCATIONGRANULARITY
        written = 0
        try:
            while written < len(content):
                written += os.pwrite(self.fd, content[written:], start + written)
        except OSError as error:
            folder = tempfile.gettempdir()
            raise OutputError(f"weights cannot be kept in {folder}: {error.strerror} (TMPDIR names another)") from error
        return Payload(array.shape, array.dtype, self, wire.Place(wire.RAW_DATA, start, len(content)))

    def read(self, offset: int, length: int) -> Array:
        """A mapping of what was put at `offset`, which the array alone keeps alive."""
        mapped = mmap.mmap(self.fd, length, offset=offset, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, np.uint8)

    @property
    def fd(self) -> int:
        """The descriptor of the file, which is made when it is first needed."""
        if self._descriptor is None:
            with tempfile.TemporaryFile(prefix="graphopt-") as file:
                self._descriptor = os.dup(file.fileno())
            weakref.finalize(self, os.close, self._descriptor)
        return self._descriptor
