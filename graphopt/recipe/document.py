"""A TOML file whose keys know the line on which they stand."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphopt.errors import UsageError

LIMIT = 1 << 20
"""Bytes of a file above which it is not taken for a recipe."""


@dataclass(frozen=True)
class Document:
    """path: the file. values: what it says, by key; tables are dictionaries."""

    path: Path
    text: str
    values: dict[str, Any]

    def place(self, *keys: str) -> str:
        """Where a key stands, such as `deploy.toml:7`; keys: the names of its tables and its own."""
        for depth in range(len(keys), 0, -1):
            line = _line(self.text, keys[:depth])
            if line is not None:
                return f"{self.path}:{line}"
        return str(self.path)


def read(path: Path) -> Document:
    """Read a file. Raises UsageError if there is none, or if it is not TOML."""
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
        text = content.decode("utf-8")
        if len(content) > LIMIT:
            raise UsageError(f"recipe {path} has more than {LIMIT >> 20} MB: this is no recipe")
        return Document(path, text, tomllib.loads(text))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"recipe {path} is not TOML: {error}") from error
    except OSError as error:
        raise UsageError(f"recipe {path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a name that no file can have
        raise UsageError(f"recipe {str(path)!r} cannot be read: {error}") from error


def _line(text: str, keys: tuple[str, ...]) -> int | None:
    """The number of the line on which a key or a table begins.

    A line that looks like it is the one if the text before it can be read without the key, and with the key once
    the line is added: inside a text of several lines it cannot.
    """
    looks = re.compile(rf"""\s*(?P<name>\[*\s*(?:[^=\]]*\.\s*)?["']?{re.escape(keys[-1])}["']?)\s*(?P<then>[\].=])""")
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if found := looks.match(line):
            begun = "\n".join(lines[:number])
            statement = f"{found['name']} = 0" if found["then"] == "=" else line
            if _holds(f"{begun}\n{statement}", keys) and not _holds(begun, keys):
                return number + 1
    return None


def _holds(text: str, keys: tuple[str, ...]) -> bool:
    """Whether a text is TOML and has the key."""
    try:
        values: Any = tomllib.loads(text)
        for key in keys:
            values = values[key]
    except (tomllib.TOMLDecodeError, LookupError, TypeError):
        return False
    return True
