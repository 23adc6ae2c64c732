"""Folders: files of arrays, each a piece of the data or one sample, or pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from graphopt.data import pictures
from graphopt.data.arrays import READERS, is_sample, reader_of
from graphopt.data.frame import frame
from graphopt.data.interface import Interface
from graphopt.data.labels import Labelled, numbered, read_labels
from graphopt.data.npy import Npy
from graphopt.data.pictures import Pictures
from graphopt.data.preprocess import Preprocess
from graphopt.data.shards import Beside, Renamed, Shards
from graphopt.data.source import LABELS, Source
from graphopt.errors import UsageError
from graphopt.ir.words import counted, listed, quoted


def folder(
    path: Path,
    model: Interface,
    *,
    preprocess: Preprocess | None,
    labels: Path | None,
    classes: Sequence[str] | None,
    offset: int,
) -> Source:
    """The samples of a folder. Raises UsageError if there are none, or of several kinds."""
    files = _files(path)
    arrays = [file for file in files if file.suffix.lower() in READERS and not _same(file, labels)]
    shots = [file for file in files if file.suffix.lower() in pictures.ENDINGS]
    if bool(arrays) == bool(shots):
        found = (
            "both pictures and files of arrays" if arrays else "neither pictures nor .npz, .npy or .safetensors files"
        )
        raise UsageError(f"{path} holds {found}")
    chosen = arrays or shots
    names = [file.relative_to(path).as_posix() for file in chosen]
    source = _arrays(path, chosen, model) if arrays else _pictures(path, chosen, model, preprocess)
    if labels is not None:
        single = shots or all(field.count == len(chosen) for field in source.fields.values())
        return Labelled(source, read_labels(labels, names if single else None, classes))
    if shots and any("/" in name for name in names):
        return _by_folder(path, source, names, model, classes, offset)
    return source


def _same(file: Path, other: Path | None) -> bool:
    return other is not None and other.exists() and file.samefile(other)


def _files(path: Path) -> list[Path]:
    """All files in a folder and below it, in order of their names; hidden ones are left out."""
    found: list[Path] = []
    for place, folders, files in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place) / name for name in files if not name.startswith(".")]
    return sorted(found)


def _arrays(path: Path, files: Sequence[Path], model: Interface) -> Source:
    """Arrays side by side, if files are called after inputs, or one file after the other."""
    kinds = {file.suffix.lower(): file for file in files}
    read = reader_of(files[0])
    if len(kinds) > 1 or read is None:
        raise UsageError(f"{path} holds files of several kinds: {', '.join(sorted(kinds))}")
    if read is not Npy:
        return Shards(str(path), [read(file, single=is_sample(read(file), model)) for file in files])
    inputs = {port.name for port in model.inputs}
    if any(file.stem in inputs for file in files):
        return Beside(str(path), [Npy(file) for file in files if file.stem in inputs or file.stem in LABELS])
    if len(model.required) != 1:
        names = listed((quoted(port.name) for port in model.required), 20)
        raise UsageError(f"{path}: no .npy file is called after an input of {model.name}: {names}")
    return Shards(str(path), [_called(Npy(file, is_sample(Npy(file), model)), model) for file in files])


def _called(source: Npy, model: Interface) -> Source:
    """An .npy file whose array is called after the only input."""
    return Renamed(source, {model.required[0].name: source.path.stem})


def _pictures(path: Path, files: Sequence[Path], model: Interface, preprocess: Preprocess | None) -> Source:
    if len(model.required) != 1:
        names = listed((quoted(port.name) for port in model.required), 20)
        raise UsageError(f"{path}: pictures are for a model with one input, {model.name} has {names}")
    port = model.required[0]
    if preprocess is None:
        raise UsageError(
            f"{path} holds pictures: say what their numbers mean to {model.name}: --preprocess raw (0 to 255), "
            "unit (0 to 1), signed (-1 to 1), imagenet, ..."
        )
    if port.shape is None or not model.batched:
        raise UsageError(f"{path}: input {port} of {model.name} does not say how it takes pictures")
    return Pictures(str(path), files, frame(str(path), port, port.shape[1:], preprocess), preprocess)


def _by_folder(
    path: Path, source: Source, names: Sequence[str], model: Interface, classes: Sequence[str] | None, offset: int
) -> Source:
    """Labels from the names of the folders in which the pictures lie. Raises UsageError where they tell no class."""
    loose = [name for name in names if "/" not in name]
    if loose:
        raise UsageError(f"{path} holds pictures in folders of classes, and {counted(len(loose), 'one')} beside them: "
                         f"{listed(loose)}")  # fmt: skip
    folders = [name.partition("/")[0] for name in names]
    labels = numbered(folders, classes, str(path))
    if classes is None and not folders[0].isdecimal():
        check_names(str(path), len(set(folders)), model, offset)
    return Labelled(source, labels)


def check_names(where: str, found: int, model: Interface, offset: int) -> None:
    """Raises UsageError if names of classes can only be numbered by their order, and some of the model are missing."""
    shape = model.outputs[0].shape if model.outputs else None
    known = shape[-1] if shape else None
    if isinstance(known, int) and known not in (1, found + offset):
        raise UsageError(
            f"{where} names {counted(found, 'class')}, {model.name} knows {known}: which is which cannot be told. Use "
            "numbers as names, or list the names of all classes, in order, in a file (--classes FILE)"
        )
