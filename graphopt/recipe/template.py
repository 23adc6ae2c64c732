"""The recipe that `graphopt init` writes: every key with what it is for, and what the model says about itself."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from graphopt.ir.model import Model
from graphopt.ir.types import Tensor
from graphopt.recipe.names import LIST, WRITTEN
from graphopt.recipe.reading import ENDING, EXTENDS, MAIN, Schemas
from graphopt.recipe.schema import Key

WIDTH = 110
EXAMPLES: Mapping[str, object] = {
    "classes": "classes.txt",
    "data": "validation.npz",
    "depfile": "model.opt.onnx.d",
    "dim": ["batch=1"],
    "input": ["image=x"],
    "label": "label",
    "labels": "labels.csv",
    "length": 128,
    "max-drop": "1%",
    "max-latency": "5ms",
    "max-size": "8MB",
    "metric": "top1",
    "passes": "clean,fuse",
    "plugin": ["my_rules"],
    "preprocess": "imagenet",
    "reference": "original.onnx",
    "report": "report.html",
    "tokenizer": "tokenizer.json",
}
"""What stands behind a key without a default, so that one sees its shape."""


@dataclass(frozen=True)
class Subject:
    """What a recipe is written for.

    path: the model, as the recipe names it. data: files nearby that have an array for each of its inputs.
    """

    path: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    data: Sequence[str] = ()


def subject(model: Model, path: Path, folder: Path) -> Subject:
    """A model as a recipe in `folder` sees it."""
    nearby = dict.fromkeys((*sorted(folder.glob("*.npz")), *sorted(path.parent.glob("*.npz"))))
    fitting = [_from(file, folder) for file in nearby if _feeds(file, model)]
    inputs = [one for one in model.graph.inputs if one not in model.graph.defaults]
    return Subject(
        _from(path, folder), list(map(_declared, inputs)), list(map(_declared, model.graph.outputs)), fitting
    )


def _from(path: Path, folder: Path) -> str:
    return os.path.relpath(os.path.realpath(path), os.path.realpath(folder))


def _declared(tensor: Tensor) -> str:
    dims = "unknown shape" if tensor.shape is None else [str(dim) for dim in tensor.shape]
    return f"{tensor.name}  {tensor.dtype}  {dims if isinstance(dims, str) else '[' + ', '.join(dims) + ']'}"


def _feeds(path: Path, model: Model) -> bool:
    """Whether a file has an array for each input that must be fed."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as held:
            names = {name.removesuffix(".npy") for name in held.namelist()}
    except (OSError, zipfile.BadZipFile):
        return False
    return names >= {one.name for one in model.graph.inputs if one not in model.graph.defaults}


def template(found: Subject, name: str, schemas: Schemas) -> str:
    """The text of a recipe called `name`: only the model is set, every other key is shown as a comment."""
    head = [
        f"A recipe of graphopt: `graphopt optimize --recipe {name}` writes {Path(name).with_suffix('')}{ENDING}.",
        "Its keys are the options of that command, and paths are relative to this file. A key behind a # is only",
        "shown, with its default or an example. What is given on the command line comes before what is given here.",
        "",
        f"{found.path}",
        *(f"  takes  {one}" for one in found.inputs),
        *(f"  gives  {one}" for one in found.outputs),
    ]
    lines = [*_comment(head), "", f"model = {_toml(found.path)}", ""]
    lines += [*_comment(["A recipe whose keys hold where this one has none."]), f'# {EXTENDS} = "common.toml"', ""]
    for panel, part in _panels(schemas[MAIN].values()).items():
        lines += [f"# ---- {panel} ----", ""] if panel else []
        for key in part:
            lines += [*_shown(key, found, name), ""]
    for command, keys in schemas.items():
        if command != MAIN:
            lines += _table(command, keys, schemas[MAIN])
    return "\n".join(lines).rstrip() + "\n"


def _panels(keys: Iterable[Key]) -> dict[str, list[Key]]:
    """The options by the part of the help in which they stand, the first part first."""
    parts: dict[str, list[Key]] = {"": []}
    for key in keys:
        if not key.argument:
            parts.setdefault(key.panel, []).append(key)
    return parts


def _table(command: str, keys: Mapping[str, Key], main: Mapping[str, Key]) -> Iterator[str]:
    """The options that only another command has."""
    yield from _comment([f"What `graphopt {command} --recipe` takes from here, beside what stands above."])
    yield f"# [{command}]"
    for key in keys.values():
        if not key.argument and key.name not in main:
            yield from _comment(textwrap.wrap(key.help, WIDTH))
            yield f"# {key.name} = {_toml(_example(key))}"
    yield ""


def _shown(key: Key, found: Subject, name: str) -> Iterator[str]:
    yield from _comment(textwrap.wrap(key.help, WIDTH))
    if key.name == "data" and found.data:
        yield from _comment([f"These files have an array for each input: {', '.join(found.data)}"])
    yield f"# {key.name} = {_toml(_suggested(key, found, name))}"


def _suggested(key: Key, found: Subject, name: str) -> object:
    if key.name == "output":
        return f"{Path(name).with_suffix('')}{ENDING}"
    if key.name in ("data", "feeds") and found.data:
        return found.data[0]
    return _example(key)


def _example(key: Key) -> object:
    """The default of a key, or something that it could be."""
    if key.default not in (None, "", (), []):
        return key.default
    if key.name in EXAMPLES:
        return EXAMPLES[key.name]
    by_kind = {bool: True, int: 1, float: 1.0}
    one = by_kind.get(key.kind, _file(key) if key.kind is Path else "...")
    return [one] if key.many else [1, 2] if key.names is LIST else one


def _file(key: Key) -> str:
    return key.metavar.lower() if "." in key.metavar else f"build/{key.name}" if key.names is WRITTEN else key.name


def _toml(value: object) -> str:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, Path) else json.dumps(str(value))


def _comment(lines: Iterable[str]) -> list[str]:
    """Lines of words, none of which can end the comment."""
    return ["# " + "".join(c if c.isprintable() else " " for c in line) if line else "#" for line in lines]
