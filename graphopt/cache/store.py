"""Entries in a folder: each appears whole or not at all, is checked when it is read, and goes when there are too many.

Any number of processes may use a folder at once, without waiting for each other: an entry is made in a folder of its
own that takes its place by one rename, and is taken out of sight by one rename before it is removed. What a process
that was killed leaves behind is locked by nobody, and the next one removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from graphopt.cache.key import digest
from graphopt.ir.atomic import sync_folder

MANIFEST = "manifest.json"
TAG = "CACHEDIR.TAG"
TAG_TEXT = "Signature: 8a477f597d28d172789f06886806bc55\n# Results of graphopt; may be removed at any time.\n"
"""What tells programs that make backups to leave a folder alone (https://bford.info/cachedir/)."""
TAKEN = (errno.EEXIST, errno.ENOTEMPTY)
"""What a rename says where an entry lies already."""
ABANDONED_S = 60.0
"""Age from which on a folder that nobody has locked is left over: between its making and its locking there is less."""


@dataclass(frozen=True)
class Store:
    """Entries by key. limit: bytes of all of them together."""

    root: Path
    limit: int

    def read(self, key: str) -> Path | None:
        """The folder of an entry, if its files are as they were stored; a broken one is removed."""
        folder = self._place(key)
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
            whole = bool(manifest) and all(digest(folder / name) == said for name, said in manifest.items())
        except FileNotFoundError:
            if not folder.exists():
                return None
            whole = False
        except (ValueError, AttributeError, OSError):
            whole = False
        if not whole:
            self.remove(key)
            return None
        with contextlib.suppress(OSError):  # a folder that may only be read gives results all the same
            os.utime(folder / MANIFEST)
        return folder

    def write(self, key: str, make: Callable[[Path], None]) -> None:
        """Store an entry. make: writes its files into a folder. Raises OSError, and what `make` raises."""
        self._prepare()
        with self._workplace() as folder:
            make(folder)
            manifest = {path.name: digest(path) for path in sorted(folder.iterdir())}
            written(folder / MANIFEST, json.dumps(manifest, indent=2).encode())
            sync_folder(folder)
            place = self._place(key)
            place.parent.mkdir(exist_ok=True)
            try:
                folder.rename(place)
            except OSError as error:
                if error.errno not in TAKEN:  # else somebody was quicker, even if it is gone again
                    raise
        self._shrink(place)

    def remove(self, key: str) -> None:
        """Take an entry away, at once."""
        self._discard(self._place(key))

    def _place(self, key: str) -> Path:
        return self.root / "entries" / key[:2] / key

    def _prepare(self) -> None:
        for name in ("entries", "work"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        if not (self.root / TAG).exists():
            written(self.root / TAG, TAG_TEXT.encode())
        for folder in (self.root / "work").iterdir():
            _remove_abandoned(folder)

    @contextlib.contextmanager
    def _workplace(self) -> Iterator[Path]:
        """A new folder; removed, if it has not become an entry.

        It lies in one that is locked as long as this process works here, and that nobody else locks: whoever writes
        a model with external data locks the folder that it is in.
        """
        home = self.root / "work" / secrets.token_hex(8)
        home.mkdir()
        lock = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(OSError):  # file systems without locks: what is left over there is old
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder = home / "entry"
            folder.mkdir()
            yield folder
        finally:
            os.close(lock)
            shutil.rmtree(home, ignore_errors=True)

    def _shrink(self, newest: Path) -> None:
        """Remove the entries that were not used for longest, until the others are within the limit."""
        found = sorted(_entries(self.root / "entries"), key=lambda one: (one[0] == newest, one[1]))
        total = sum(size for _, _, size in found)
        for folder, _, size in found:
            if total <= self.limit:
                return
            self._discard(folder)
            total -= size

    def _discard(self, folder: Path) -> None:
        gone = self.root / "work" / secrets.token_hex(8)
        with contextlib.suppress(OSError):  # somebody else has removed it, or nobody may
            folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _entries(root: Path) -> Iterator[tuple[Path, float, int]]:
    """Folder, time of last use, and bytes of each entry."""
    for folder in root.glob("*/*"):
        with contextlib.suppress(OSError):  # gone while we looked
            used = (folder / MANIFEST).stat().st_mtime
            yield folder, used, sum(path.stat().st_size for path in folder.iterdir())


def _remove_abandoned(folder: Path) -> None:
    """Remove a folder in which no process works any more."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if time.time() - os.fstat(lock).st_mtime < ABANDONED_S:
            return
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def written(path: Path, content: bytes) -> None:
    """Write a file, and make sure that it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
