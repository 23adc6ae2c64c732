"""Large arrays and byte strings between two processes, through a file without a name that both map."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

ALIGNMENT = 64
INLINE = 1 << 15
"""Values of up to this many bytes travel in the message itself."""
KEPT = 1 << 24
"""A file that has grown beyond this is emptied after use, as its bytes are memory."""

CONTAINERS = (list, tuple)
"""What is rebuilt: not what derives from them, such as a named tuple, which is a value."""


class Placed(NamedTuple):
    """Stands in a message for an array (of `dtype` and `shape`) or a byte string (dtype None) in the shared file."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None


class Shared:
    """One direction of exchange: the sender puts values in, the receiver takes them out, then the sender clears.

    Without `descriptor` a new file is made, in memory where the system can; it vanishes with the last process
    that has it open. Otherwise `descriptor` is an open one that was inherited.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = anonymous_file() if descriptor is None else descriptor
        self._end = 0

    def put(self, value: Any) -> Any:
        """`value` with large arrays and byte strings moved to the file; containers are rebuilt."""
        import numpy as np

        if isinstance(value, dict):
            return {key: self.put(item) for key, item in value.items()}
        if type(value) in CONTAINERS:
            return type(value)(self.put(item) for item in value)
        if isinstance(value, bytes) and len(value) > INLINE:
            return self._write(value, (len(value),), None)
        if isinstance(value, np.ndarray) and value.nbytes > INLINE and not value.dtype.hasobject:
            row = np.asarray(value, order="C").reshape(-1).view(np.uint8)
            return self._write(row.data, value.shape, value.dtype)
        return value

    def take(self, value: Any, *, copy: bool = False) -> Any:
        """The inverse of `put`. Without `copy`, arrays are read-only views, valid until the sender clears the file."""
        import numpy as np

        if isinstance(value, dict):
            return {key: self.take(item, copy=copy) for key, item in value.items()}
        if type(value) in CONTAINERS:
            return type(value)(self.take(item, copy=copy) for item in value)
        if not isinstance(value, Placed):
            return value
        found = self._read(value)
        return found.copy() if copy and isinstance(found, np.ndarray) else found

    def clear(self) -> None:
        """Forget what was put; call when the receiver is done with it."""
        if self._end > KEPT:
            os.ftruncate(self.descriptor, 0)
        self._end = 0

    def _write(self, data: bytes | memoryview, shape: tuple[int, ...], dtype: np.dtype[Any] | None) -> Placed:
        placed = Placed(self._end, shape, dtype)
        view = memoryview(data)
        while view:
            written = os.pwrite(self.descriptor, view, self._end)
            view, self._end = view[written:], self._end + written
        self._end += -self._end % ALIGNMENT
        return placed

    def _read(self, placed: Placed) -> bytes | np.ndarray[Any, Any]:
        import numpy as np

        size = math.prod(placed.shape) * (placed.dtype.itemsize if placed.dtype else 1)
        start = placed.offset - placed.offset % mmap.ALLOCATIONGRANULARITY
        skip = placed.offset - start
        memory = mmap.mmap(self.descriptor, skip + size, offset=start, access=mmap.ACCESS_READ)
        if placed.dtype is None:
            return memory[skip:]
        return np.frombuffer(memory, np.uint8, offset=skip).view(placed.dtype).reshape(placed.shape)


def anonymous_file() -> int:
    """A new file that has no name: in memory on Linux, else in the temporary folder."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("graphopt")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
