"""What is checked about files before any work, and how texts are written."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from graphopt.cli.watch import same_file
from graphopt.errors import OutputError, UsageError
from graphopt.ir.atomic import Pending, told
from graphopt.ir.types import Array
from graphopt.report.style import shown


def check_outputs(model: Path, outputs: Sequence[Path]) -> None:
    """Raises UsageError if outputs are the input or each other, and OutputError where nothing can be written."""
    for index, path in enumerate(outputs):
        for other in outputs[:index]:
            if same_file(path, other):
                raise UsageError(f"two outputs have the name {path}")
        if same_file(model, path):
            raise UsageError(f"{path} is the input itself; choose another name for the output")
        _check_place(path)


def _check_place(path: Path) -> None:
    folder = Path(os.path.realpath(path)).parent
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file in it")
    if not folder.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {folder}; mkdir -p makes it")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{path} cannot be written: no permission to write into {folder}")


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises OutputError."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises OutputError."""
    with told(path), Pending(Path(os.path.realpath(path))) as out:
        out.write(content)
        out.commit()


def read_inputs(model: Path, feeds: Path, *, allow_outside: bool) -> Mapping[str, Array]:
    """The inputs of a model out of an .npz file. Raises UsageError where they do not fit."""
    from graphopt.ir.reader import load
    from graphopt.numerics.inputs import fitting, read_feeds

    arrays = read_feeds(feeds)
    return fitting(load(model, allow_outside=allow_outside), str(feeds), arrays)


def find_modules(recipe: Path | None = None) -> None:
    """Let Python find modules in the current folder, and beside the recipe."""
    for folder in (Path.cwd(), recipe.resolve().parent if recipe else None):
        if folder and str(folder) not in sys.path:
            sys.path.append(str(folder))


def find_plugins(modules: Sequence[str] | None, recipe: Path | None = None) -> Sequence[str]:
    """The modules, which may also lie in the current folder, or beside the recipe."""
    find_modules(recipe)
    for module in modules or ():
        if not all(part.isidentifier() for part in module.split(".")) or module.endswith(".py"):
            hint = f", such as {module.removesuffix('.py').replace('/', '.')}" if module.endswith(".py") else ""
            raise UsageError(f"--plugin {shown(module)}: give the name of a Python module, not a file{hint}")
    return modules or ()
