"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from graphopt.errors import ModelError, OutputError
from graphopt.ir.scratch import Scratch
from graphopt.ir.storage import File
from graphopt.ir.types import Array

_CHUNK, _SPAN = 1 << 22, 1 << 25
"""Bytes that are written at once, and after which the disk begins with what it was given."""
PREFIX = 50
"""Characters of a name that a temporary one begins with: of four bytes each, with what follows, there may be 255."""
_CANNOT = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
"""What the kernel answers if it cannot copy between these two files by itself, or a file system synchronise folders."""


class Folder:
    """A folder and the names in it, by its descriptor: it stays the same one if somebody renames it meanwhile."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._close = weakref.finalize(self, os.close, self.fd)

    def create(self, name: str) -> int:
        """The descriptor of a new file, to be written."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return os.open(name, flags, 0o666, dir_fd=self.fd)

    def holds(self, name: str) -> bool:
        """Whether there is something of that name. Raises OSError where the system does not say."""
        try:
            os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def remove(self, name: str) -> None:
        """Take a name out, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def rename(self, name: str, other: str) -> None:
        """Give a file another name, whoever had that, and make sure that it is on the disk."""
        os.replace(name, other, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        _sync(self.fd)

    def link(self, name: str, other: str) -> None:
        """Give a file a second name. Raises OSError on file systems without hard links."""
        os.link(name, other, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def close(self) -> None:
        """Give the descriptor back."""
        self._close()


class Pending:
    """A file written under a temporary `name` in the `folder` of `target`, whose place it takes at `commit`.

    A context manager: left without a commit, by whatever exception, it removes what it wrote.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.name = f".{target.name[:PREFIX]}.{secrets.token_hex(8)}.tmp"
        self._end = self._begun = 0
        self.needed = False
        """Whether the file must stay under its temporary name, because another one refers to it."""
        mode = _mode(target)
        self.folder = Folder(target.parent)
        try:
            self._fd = self.folder.create(self.name)
            self._out = os.fdopen(self._fd, "wb", buffering=1 << 18)
            if mode is not None:
                os.fchmod(self._fd, mode)
        except BaseException:
            self.folder.remove(self.name)
            self.folder.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is still buffered has nowhere to go if the disk is full.
        with contextlib.suppress(OSError):
            self._out.close()
        try:
            if not self.needed:
                self.folder.remove(self.name)
        finally:
            self.folder.close()

    def write(self, content: bytes | Array) -> None:
        """Append bytes, large ones in pieces."""
        view = memoryview(content)  # type: ignore[arg-type]  # an array is a buffer, as types say from Python 3.12 on
        for start in range(0, len(view), _CHUNK):
            self._append(view[start : start + _CHUNK])

    def pad(self, offset: int) -> None:
        """Append zeros up to `offset`."""
        self._append(bytes(offset - self._end))

    def _append(self, piece: bytes | memoryview) -> None:
        self._out.write(piece)
        self._written(len(piece))

    def _written(self, length: int) -> None:
        """Let the disk begin with what is there, so that there is less to wait for at the end.

        That the pages are not needed is why the system begins; as they are not on the disk yet, it keeps them.
        """
        self._end += length
        if self._end - self._begun >= _SPAN and hasattr(os, "posix_fadvise"):
            self._out.flush()
            os.posix_fadvise(self._fd, self._begun, self._end - self._begun, os.POSIX_FADV_DONTNEED)
            self._begun = self._end

    def copy(self, source: File | Scratch, offset: int, length: int) -> None:
        """Append a range of another file, by the kernel where it can, else in pieces."""
        if isinstance(source, File):
            source.check()
        self._out.flush()
        end = offset + length
        offset = self._copy_by_kernel(source, offset, end)
        while offset < end:
            piece = os.pread(source.fd, min(_CHUNK, end - offset), offset)
            if not piece:
                place = source.path if isinstance(source, File) else "the file of weights that were made"
                raise ModelError(f"{place} was cut by another program while it was being copied")
            self._append(piece)
            offset += len(piece)

    def _copy_by_kernel(self, source: File | Scratch, offset: int, end: int) -> int:
        """How far it came."""
        while offset < end:
            try:
                copied = os.copy_file_range(source.fd, self._fd, min(_SPAN, end - offset), offset)
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
                return offset
            if not copied:
                return offset
            offset += copied
            self._written(copied)
        return offset

    def finish(self) -> None:
        """Make sure that the content is on the disk."""
        self._out.flush()
        os.fsync(self._fd)
        self._out.close()

    def commit(self) -> None:
        """Take the place of the target."""
        if not self._out.closed:
            self.finish()
        self.folder.rename(self.name, self.target.name)

    def twin(self) -> str:
        """A second name of the finished file. Raises OSError on file systems without hard links."""
        name = f"{self.name}.twin"
        self.folder.link(self.name, name)
        return name


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes of graphopt from renaming files in `folder`, where its file system has locks."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder are on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sync(fd)
    finally:
        os.close(fd)


def _sync(folder: int) -> None:
    """The same by descriptor, where the file system can."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise


def _mode(target: Path) -> int | None:
    """Permissions of the file to be replaced. OutputError if it is no ordinary file."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise OutputError(f"{target} is {'a folder' if stat.S_ISDIR(mode) else 'not a regular file'}")
    return stat.S_IMODE(mode)


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """What the system says about writing `path`, as an OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
