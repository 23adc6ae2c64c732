"""Dependencies in the syntax of make, as compilers write them with -MD."""

from __future__ import annotations

import re
from collections.abc import Iterable

from graphopt.errors import UsageError

_ESCAPED = re.compile(r"(\\*)([ \t#:*?\[\]])")
_NO_TARGET = re.compile(r"[;%|&\t\r\n]|\(.*\)$|\\$")
_NO_DEPENDENCY = re.compile(r"[;|\r\n]|\(.*\)$|\\$")
"""What no escape makes part of a name for GNU make."""


def target(name: str) -> str:
    """The name of a file as a target of make. Raises UsageError for one that make cannot name."""
    return _escaped(name, _NO_TARGET)


def dependency(name: str) -> str:
    """The name of a file as a prerequisite of make. Raises UsageError for one that make cannot name."""
    return _escaped(name, _NO_DEPENDENCY)


def _escaped(name: str, impossible: re.Pattern[str]) -> str:
    if found := impossible.search(name):
        raise UsageError(f"make has no way to spell the file name {name!r} (because of {found[0]!r}): rename the file")
    name = f"./{name}" if name.startswith("~") else name
    name = _ESCAPED.sub(lambda special: f"{special[1] * 2}\\{special[2]}", name.replace("$", "$$"))
    return name.replace("=", "$(or =)")


def depfile(output: str, files: Iterable[str]) -> str:
    """The text that tells make on which files an output depends.

    Each file is also a target of its own, without a recipe: one that is no longer there means that the output must be
    built anew, not that it cannot be.
    """
    names = [dependency(name) for name in dict.fromkeys(files) if name != output]
    rule = " \\\n  ".join((f"{target(output)} :", *names))
    own = (f"{name} :" for name in names if "%" not in name)  # with a % it would be a rule for many files
    return "\n\n".join((rule, *own)) + "\n"
