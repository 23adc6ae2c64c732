"""Opening data for a model: every check that can be made before the work is made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from graphopt.data import text
from graphopt.data.arrays import READERS, is_sample, reader_of
from graphopt.data.fitting import Nan, fit
from graphopt.data.folder import folder
from graphopt.data.functions import function, is_function
from graphopt.data.interface import Interface, interface
from graphopt.data.labels import LABEL, Labelled, read_classes, read_labels
from graphopt.data.preprocess import Preprocess, parse_preprocess
from graphopt.data.source import Data, Source
from graphopt.errors import UsageError
from graphopt.ir.model import Model


def open_data(
    spec: str | Path | Data,
    model: Model | str | Path | Interface,
    *,
    preprocess: Preprocess | str | None = None,
    label: str | None = None,
    labels: str | Path | None = None,
    label_offset: int = 0,
    classes: str | Path | None = None,
    inputs: Mapping[str, str] | None = None,
    tokenizer: str | Path | None = None,
    length: int | None = None,
    nan: Nan = "refuse",
) -> Data:
    """Open data for a model, and check that it fits.

    spec: what holds the samples:
        FILE.npz            arrays with samples along their first axis, called after the inputs; a single one may have
                            any name. Labels are called label, labels or y
        FILE.safetensors    the same
        FILE.npy            the array of a model with one input
        FOLDER              .npz, .npy or .safetensors files, each one sample or a piece of the data; .npy files called
                            after the inputs; or pictures, whose labels are the names of the folders in which they lie
        FILE.txt            lines of text, with a tokenizer
        module:function     a function that gives feeds, or pairs of feeds and labels: samples or batches
    model: the model that is to be fed, or its path.
    preprocess: what is done to pictures, or its text (see `parse_preprocess`). Arrays (samples, height, width,
        channels) are pictures too; size and layout follow from the model. Other numbers of an only input are scaled.
    label: the array that holds the labels.
    labels: a file that holds them: .npy, .npz, or a table (.csv, .tsv, .txt) of labels, or of files and labels.
    label_offset: added to every label, such as 1 for a network whose class 0 is "background".
    classes: a file with a name of a class in each line, from class 0 on, for labels that are names.
    inputs: names of arrays by name of input, where they are not the same.
    tokenizer: a tokenizer's file (tokenizer.json). length: tokens to which texts are cut.
    nan: "refuse" data that holds NaN, or "keep" it.

    Raises UsageError that says what was expected and what was found.
    """
    if not isinstance(spec, str | Path):
        return _own(spec)
    shape = model if isinstance(model, Interface) else interface(model)
    declared = parse_preprocess(preprocess) if isinstance(preprocess, str) else preprocess
    if label is not None and labels is not None:
        raise UsageError("labels are in an array of the data (label) or in a file (labels), not in both")
    names = None if classes is None else read_classes(Path(classes))
    place = None if labels is None else Path(labels)
    if isinstance(spec, str) and is_function(spec) and not Path(spec).exists():
        source: Source = function(spec, shape)
        source = source if place is None else Labelled(source, read_labels(place, None, names))
    elif tokenizer is not None:
        made = text.text(_existing(spec), Path(tokenizer), shape, length=length, causal=place is None)
        source = made if place is None else Labelled(made, read_labels(place, None, names))
    else:
        source = _files(_existing(spec), shape, declared, place, names, label_offset)
    fitted = fit(
        source, shape, preprocess=declared, inputs=inputs, offset=label_offset, nan=nan,
        label=LABEL if place is not None else label,
    )  # fmt: skip
    fitted.check()
    return fitted


def _own(spec: object) -> Data:
    if not isinstance(spec, Data):
        raise UsageError(
            f"data is a path, module:function or an object that is `graphopt.data.source.Data`, not {spec!r}"
        )
    return spec


def _existing(spec: str | Path) -> Path:
    path = Path(spec)
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder, and it is no module:function")
    return path


def _files(
    path: Path,
    model: Interface,
    preprocess: Preprocess | None,
    labels: Path | None,
    classes: Sequence[str] | None,
    offset: int,
) -> Source:
    """The samples of a folder or of a file of arrays."""
    if path.is_dir():
        return folder(path, model, preprocess=preprocess, labels=labels, classes=classes, offset=offset)
    if path.suffix.lower() in text.ENDINGS:
        raise UsageError(f"{path} is text: give a tokenizer's file (--tokenizer tokenizer.json)")
    read = reader_of(path)
    if read is None:
        known = ", ".join((*READERS, *text.ENDINGS))
        raise UsageError(f"{path}: data is read from {known} files, folders of them or of pictures, or module:function")
    source = read(path)
    if not model.batched and is_sample(source, model):
        source = read(path, single=True)
    return source if labels is None else Labelled(source, read_labels(labels, None, classes))
