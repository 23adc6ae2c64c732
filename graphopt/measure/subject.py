"""What is measured: a model, and the file in which it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.ir.external import weight_files
from graphopt.ir.model import Model
from graphopt.ir.reader import load

if TYPE_CHECKING:
    import onnx

    Source = str | Path | bytes | Model | onnx.ModelProto


@dataclass(frozen=True)
class Subject:
    """A model to be measured, and the file in which it lies. file_bytes: with those of its weights."""

    name: str
    path: str
    model: Model
    file_bytes: int


def subject(source: Source, target: Path, *, allow_outside: bool) -> Subject:
    """A model and its file, which is `target` if it came from none. Raises ModelError for what is no model."""
    if isinstance(source, str | Path):
        model, path, name = load(source, allow_outside=allow_outside), Path(source), str(source)
    else:
        if isinstance(source, Model):
            source.save(target)
        else:
            target.write_bytes(source if isinstance(source, bytes) else source.SerializeToString())
        model, path, name = load(target), target, f"model {target.stem}"
    files = [path, *weight_files(model)]
    return Subject(name, str(path), model, sum(one.stat().st_size for one in files))


def sources(given: Source | Sequence[Source]) -> list[Source]:
    """A list of models, also of a single one."""
    return list(given) if isinstance(given, Sequence) and not isinstance(given, str | bytes) else [given]


def subjects(given: Sequence[Source], folder: Path, *, allow_outside: bool) -> list[Subject]:
    """The models and their files; those that came from none are written into `folder`."""
    return [subject(one, folder / f"{i + 1}.onnx", allow_outside=allow_outside) for i, one in enumerate(given)]
