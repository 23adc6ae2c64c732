"""The files on which a compile depends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from graphopt.recipe.names import WRITTEN
from graphopt.recipe.schema import named


def dependencies(options: object) -> Iterator[Path]:
    """Every file that was read for a compile with these options, a dataclass of annotated parameters.

    What the compile writes is left out, and so are folders in which it writes: they change with every compile.
    """
    fields = named(type(options))
    written = [
        os.path.realpath(one) for field, names in fields.items() if names is WRITTEN for one in _values(options, field)
    ]
    for field, names in fields.items():
        for value in _values(options, field):
            for path in names.read(value):
                real = os.path.realpath(path)
                if not any(one == real or one.startswith(real + os.sep) for one in written):
                    yield path


def _values(options: object, field: str) -> list[str]:
    value = getattr(options, field)
    if value is None:
        return []
    return [str(one) for one in (value if isinstance(value, list | tuple) else [value])]
