"""Files of data: what is said of those that cannot be read, and hashes of their content."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from graphopt.errors import UsageError


@contextlib.contextmanager
def unreadable(path: Path, kind: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turns errors that reading a file of a kind (`as an .npz file`) gives into a UsageError that names it."""
    try:
        yield
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except errors as error:
        raise UsageError(f"{path} cannot be read {kind}: {str(error).strip() or type(error).__name__}") from error


def digest(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits. Raises UsageError."""
    with unreadable(path, "", ()), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def combined(*parts: str) -> str:
    """One hash for several texts."""
    made = hashlib.sha256()
    for part in parts:
        made.update(f"{len(part)}:{part}".encode("utf-8", "surrogatepass"))
    return made.hexdigest()
