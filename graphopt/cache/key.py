"""What a result depends on, as one hash: content, never names, times or places of files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from graphopt.budget import Budget
from graphopt.ir.external import weight_files
from graphopt.ir.model import Model
from graphopt.ir.reader import load
from graphopt.measure.environment import processor, versions
from graphopt.numerics.process import Process
from graphopt.pipeline.level import Level
from graphopt.pipeline.registry import Registry, installed
from graphopt.pipeline.text import Pipeline, parse
from graphopt.recipe.names import modules
from graphopt.target import HERE, TARGETS, Target, target_named

SCHEMA = 1
"""Of keys and entries: what an older version has stored is not found."""
PACKAGES = ("graphopt", "passes")
MACHINE = ("processor", "features", "cores", "memory")
"""What decides about times."""


class Unkeyed(Exception):
    """A result whose key is not known: what it depends on has no content that could be compared."""


def key(asked: Mapping[str, Any], files: Iterable[Path]) -> str:
    """The hash of everything on which the result of `optimize(**asked)` depends. files: those of the model.

    Raises Unkeyed for what has no key, such as passes that are objects; UsageError for what does not exist.
    """
    found: dict[str, Any] = {"schema": SCHEMA, "model": [digest(path) for path in files]}
    found |= {name: PARTS[name](value, asked) for name, value in asked.items()}
    found["versions"], found["source"] = versions(), own_source()
    found["entry points"] = sorted((one.name, one.value) for one in installed())
    if (budget := asked.get("budget")) is not None and (budget.max_latency is not None or budget.never_slower):
        from graphopt.measure.environment import environment

        found["machine"] = [getattr(environment(), one) for one in MACHINE]
    text = json.dumps(found, sort_keys=True, default=_unkeyed)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def files_of(model: str | Path, *, allow_outside: bool) -> list[Path]:
    """The file of a model, and those in which its weights lie, in the order in which it names them."""
    return [Path(model), *weight_files(load(model, allow_outside=allow_outside))]


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def own_source() -> str:
    """The hash of the source of the compiler and of all passes of its own."""
    import importlib

    made = hashlib.sha256()
    for package in PACKAGES:
        root = str(Path(str(importlib.import_module(package).__file__)).parent)
        for folder, folders, files in os.walk(root):
            folders.sort()
            for name in sorted(name for name in files if name.endswith(".py")):
                content = Path(folder, name).read_bytes()
                made.update(f"{package}{folder.removeprefix(root)}/{name} {len(content)}\n".encode() + content)
    return made.hexdigest()


def _unkeyed(value: object) -> Any:
    raise Unkeyed(f"{type(value).__name__} has no key")


def _ignored(_value: object, _asked: Mapping[str, Any]) -> None:
    """What decides about nothing in the result, or is part of the key elsewhere."""


def _itself(value: object, _asked: Mapping[str, Any]) -> object:
    return value


def _default(value: object, _asked: Mapping[str, Any]) -> None:
    """The runner of our own, also where its process was started before."""
    if not (value is None or isinstance(value, Process)):
        _unkeyed(value)


def _passes(value: object, _asked: Mapping[str, Any]) -> str:
    """The pipeline with the files that it includes spelled out."""
    from graphopt.api import DEFAULT

    if value is None or isinstance(value, str | Pipeline):
        return str(value if isinstance(value, Pipeline) else parse(DEFAULT if value is None else value))
    return str(_unkeyed(value))


def _target(value: str | Target, asked: Mapping[str, Any]) -> object:
    """The name of a known target; its content is part of the compiler's source. And what the processor can, where the
    target stands for that of this machine, and a pass asks for it."""
    found = target_named(value)
    name = found.name if TARGETS.get(found.name) is found else _unkeyed(value)
    return [name, *processor()] if name in HERE and _native(asked) else name


def _native(asked: Mapping[str, Any]) -> bool:
    """Whether the pipeline has a pass whose work depends on the processor."""
    written = set(re.findall(r"[\w.-]+", str(_passes(asked.get("passes"), asked))))
    return any(one.native and one.name in written for one in Registry(asked.get("plugins") or ()).passes.values())


def _modules(names: Iterable[str], _asked: Mapping[str, Any]) -> list[list[str]]:
    """The content of modules and of what lies beside them; they are imported."""
    Registry([*names])
    return [[name, *map(digest, _files(name))] for name in names]


def _files(module: str) -> list[Path]:
    """The files of an imported module, of its package, and of what was imported from beside it."""
    top = module.partition(".")[0]
    own = [getattr(one, "__file__", None) for name, one in sorted(sys.modules.items()) if name.partition(".")[0] == top]
    found = dict.fromkeys(path.resolve() for path in (*(Path(one) for one in own if one), *modules(module)))
    return [path for path in found if path.is_file()] or [_unkeyed(module)]


def _feeds(value: Mapping[str, Any] | None, _asked: Mapping[str, Any]) -> object:
    import numpy as np

    arrays = {name: np.ascontiguousarray(array) for name, array in (value or {}).items()}
    if any(array.dtype.hasobject for array in arrays.values()):
        _unkeyed(value)
    return {
        name: [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
        for name, array in arrays.items()
    }


def _data(value: Any, asked: Mapping[str, Any]) -> object:
    if value is None:
        return None
    from graphopt.data.opening import open_data

    model = asked["source"]
    return open_data(value, model if isinstance(model, Model) else load(model, allow_outside=True)).fingerprint()


def _metric(value: object, _asked: Mapping[str, Any]) -> object:
    if value is None:
        return None
    if not isinstance(value, str):
        return _unkeyed(value)
    from graphopt.measure.metrics import METRICS, metric

    metric(value)
    module, colon, _ = value.partition(":")
    return [value, *(map(digest, _files(module)) if colon and module not in METRICS else ())]


def _budget(value: Budget | None, _asked: Mapping[str, Any]) -> object:
    return None if value is None else repr((value.max_drop, value.max_latency, value.max_size, value.never_slower))


PARTS: Mapping[str, Callable[[Any, Mapping[str, Any]], object]] = {
    "source": _ignored,
    "passes": _passes,
    "verify": lambda value, _asked: str(Level(value)),
    "seed": _itself,
    "limit": _itself,
    "feeds": _feeds,
    "reproducers": _ignored,
    "plugins": _modules,
    "observers": _ignored,
    "runner": _default,
    "allow_outside": _ignored,
    "inline": _itself,
    "target": _target,
    "budget": _budget,
    "data": _data,
    "calibration": _data,
    "metric": _metric,
}
"""For each argument of `optimize` what of it belongs to the key."""
