"""What the value of an option names: files that are read or written, modules, or a pipeline that includes files.

A parameter of a command says it in its annotation, beside typer's own: `Annotated[Path, typer.Option(...), READ]`.
From that one word follow how a recipe's value is seen from outside the recipe's folder, and what make must watch.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""module:function"""


@dataclass(frozen=True)
class Names:
    """moved: the value as seen from outside the folder to which it is relative. read: the files on which it depends.

    joined: what stands between the parts of a value that may also be a list of parts.
    """

    moved: Callable[[str, Path], str]
    read: Callable[[str], Iterable[Path]]
    joined: str | None = None


def beside(text: str, folder: Path) -> str:
    """A path relative to `folder`, relative to the current folder; without `..` where that names the same file."""
    path = folder / text
    short = Path(os.path.normpath(path))
    return str(short if os.path.realpath(short) == os.path.realpath(path) else path)


def below(text: str) -> Iterator[Path]:
    """The file, and if it is a folder all that is in it, in order; nothing if there is none."""
    path = Path(text)
    if path.exists():
        yield path
    for folder, folders, files in os.walk(path):
        folders.sort()
        yield from (Path(folder) / name for name in sorted((*folders, *files)))


def modules(text: str) -> Iterator[Path]:
    """The files of a module that has been imported, and of all others from the folder in which its package lies."""
    top = text.partition(".")[0]
    file = getattr(sys.modules.get(top), "__file__", None)
    if file is None:
        return
    home = Path(file).parent
    root = home.parent if Path(file).stem == "__init__" else home
    installed = {"site-packages", "dist-packages"} & set(root.parts)
    for name, module in sorted(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path is None or name.partition(".")[0] in ("graphopt", "passes", "__main__"):
            continue
        own = name.partition(".")[0] == top
        if own or (not installed and Path(path).is_relative_to(root) and not _installed(Path(path))):
            yield shortest(Path(path))


def _installed(path: Path) -> bool:
    """Whether a module is one of Python's or of an environment's own."""
    return path.is_relative_to(sys.prefix) or path.is_relative_to(sys.base_prefix)


def shortest(path: Path) -> Path:
    """A path relative to the current folder if it lies in it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _included(text: str) -> Iterable[Path]:
    from graphopt.pipeline.text import parse

    return parse(text).files


def _pipeline(text: str, folder: Path) -> str:
    from graphopt.pipeline.text import moved

    return moved(text, folder)


def _model(text: str) -> Iterator[Path]:
    from graphopt.ir.external import weight_files
    from graphopt.ir.reader import load

    yield Path(text)
    yield from map(shortest, weight_files(load(text, allow_outside=True)))


def _function_or_path(text: str, folder: Path) -> str:
    return text if _FUNCTION.fullmatch(text) else beside(text, folder)


def _function_or_files(text: str) -> Iterable[Path]:
    return modules(text.partition(":")[0]) if _FUNCTION.fullmatch(text) else below(text)


def _recipes(text: str) -> Iterable[Path]:
    from graphopt.recipe.reading import recipe_files

    return recipe_files(Path(text))


def _same(text: str, _folder: Path) -> str:
    return text


def _nothing(_text: str) -> Iterable[Path]:
    return ()


VALUE = Names(_same, _nothing)
"""Nothing but itself."""
LIST = Names(_same, _nothing, joined=",")
"""A text that is a list with commas."""
READ = Names(beside, below)
"""A file or folder that is read."""
WRITTEN = Names(beside, _nothing)
"""A file or folder that is written."""
MODEL = Names(beside, _model)
"""A model, and the files in which its weights lie."""
RECIPE = Names(beside, _recipes)
"""A recipe, and those that it extends."""
PIPELINE = Names(_pipeline, _included, joined=",")
"""A pipeline, which may include files."""
MODULE = Names(_same, modules)
"""A Python module."""
SOURCE = Names(_function_or_path, _function_or_files)
"""Data: a file, a folder, or module:function."""
FUNCTION = Names(_same, lambda text: modules(text.partition(":")[0]) if _FUNCTION.fullmatch(text) else ())
"""A name, or module:function."""
