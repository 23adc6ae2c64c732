"""From a recipe to the settings of a command."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphopt.errors import UsageError
from graphopt.recipe.document import Document, read
from graphopt.recipe.schema import Key

EXTENDS = "extends"
"""The key that names a recipe whose keys hold where this one has none."""
MAIN = "optimize"
"""The command whose options stand at the top; those of another one stand in the table with its name."""
DEPTH = 20
ENDING = ".opt.onnx"
"""Of the model that a recipe makes."""
MANY = 20
"""Keys that are not all listed in an error."""

Schemas = Mapping[str, Mapping[str, Key]]
"""The keys of each command that takes a recipe, by its name."""


@dataclass(frozen=True)
class Setting:
    """What a recipe says about one key. value: as one would type it. place: where it says so."""

    key: Key
    value: Any
    place: str


@dataclass(frozen=True)
class Recipe:
    """settings: by command and key. files: the recipe, and those that it extends."""

    path: Path
    files: tuple[Path, ...]
    settings: Mapping[str, Mapping[str, Setting]]

    @property
    def output(self) -> str:
        """The model that `optimize` writes: as the recipe says, or beside the recipe."""
        said = self.settings[MAIN].get("output")
        return str(self.path.with_suffix("")) + ENDING if said is None else str(said.value)

    def get(self, name: str) -> Any:
        """The value of a key of `optimize`, or None."""
        said = self.settings[MAIN].get(name)
        return None if said is None else said.value


def read_recipe(path: Path, schemas: Schemas) -> Recipe:
    """Read a recipe. Raises UsageError for what is no TOML, no key, or no value of its key, with the line."""
    settings: dict[str, dict[str, Setting]] = {command: {} for command in schemas}
    files = []
    for document in _chain(path):
        files.append(document.path)
        for command, found in _settings(document, schemas):
            settings[command].setdefault(found.key.name, found)
    return Recipe(path, tuple(files), settings)


def recipe_files(path: Path) -> Iterator[Path]:
    """A recipe, and those that it extends. Raises UsageError if one cannot be read."""
    return (document.path for document in _chain(path))


def declares_model(path: Path) -> bool:
    """Whether a TOML file, or one that it extends, names a model: other files are no recipes."""
    values = read(path).values
    return isinstance(values.get("model"), str) or (
        isinstance(values.get(EXTENDS), str) and any("model" in one.values for one in _chain(path))
    )


def _chain(path: Path) -> Iterator[Document]:
    """A recipe, the one that it extends, and so on."""
    for _ in range(DEPTH):
        document = read(path)
        yield document
        base = document.values.get(EXTENDS)
        if base is None:
            return
        if not isinstance(base, str) or not base.strip():
            raise UsageError(f"{document.place(EXTENDS)}: {EXTENDS} must be the name of a recipe, found {base!r}")
        path = path.parent / base
    raise UsageError(f"recipe {path}: more than {DEPTH} recipes extend each other; does one extend itself?")


def _settings(document: Document, schemas: Schemas) -> Iterator[tuple[str, Setting]]:
    tables = [command for command in schemas if command != MAIN]
    for name, value in document.values.items():
        if name == EXTENDS:
            continue
        if name in tables and isinstance(value, dict):
            own = {key.name: key for key in schemas[name].values() if not key.argument}
            for inner in value:
                yield name, _setting(document, own, (name, inner), value[inner])
        else:
            yield MAIN, _setting(document, schemas[MAIN], (name,), value, (EXTENDS, *tables))


def _setting(
    document: Document, keys: Mapping[str, Key], path: tuple[str, ...], value: object, others: Iterable[str] = ()
) -> Setting:
    place, name = document.place(*path), path[-1]
    key = keys.get(name)
    if key is None:
        raise UsageError(f"{place}: there is no key {'.'.join(path)!r}{_nearest(name, (*keys, *others))}")
    try:
        typed = key.typed(value)
    except TypeError as error:
        raise UsageError(f"{place}: {name} must be {error}, found {_spelled(value)}") from None
    folder = document.path.parent
    moved = [key.names.moved(one, folder) for one in typed] if key.many else key.names.moved(typed, folder)
    return Setting(key, moved, place)


def _nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name.replace("_", "-"), known, n=3)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; there are: {', '.join(known)}" if len(known) <= MANY else "; graphopt init writes all that there are"


def _spelled(value: object) -> str:
    """A value as TOML has it, or nearly."""
    if isinstance(value, dict):
        return "a table"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
