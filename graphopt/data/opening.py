"""Opening data for a model: every check that can be made before the work is made here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from graphopt.data.fitting import Fitted, Nan, fit
from graphopt.data.interface import Interface, interface
from graphopt.data.npz import Npz
from graphopt.data.preprocess import Preprocess, parse_preprocess
from graphopt.data.source import Data, Source
from graphopt.errors import UsageError
from graphopt.ir.model import Model


def open_data(
    spec: str | Path | Data,
    model: Model | str | Path | Interface,
    *,
    preprocess: Preprocess | str | None = None,
    labels: str | Path | None = None,
    label_offset: int = 0,
    inputs: Mapping[str, str] | None = None,
    nan: Nan = "refuse",
) -> Data:
    """Open data for a model, and check that it fits.

    spec: what holds the samples:
        FILE.npz            arrays with samples along their first axis, named after the inputs. A single array needs no
                            name, and neither do labels called label, labels or y
    model: the model that is to be fed, or its path.
    preprocess: what is done to pictures, or its text (see `parse_preprocess`). Pictures are arrays (samples, height,
        width, channels) of any numbers; size and layout follow from the model.
    labels: the array of labels.
    label_offset: added to every label, such as 1 for a network whose class 0 is "background".
    inputs: names of arrays by name of input, where they are not the same.
    nan: "refuse" data that holds NaN, or "keep" it.

    Raises UsageError that says what was expected and what was found.
    """
    shape = model if isinstance(model, Interface) else interface(model)
    if not isinstance(spec, str | Path):
        return spec
    declared = parse_preprocess(preprocess) if isinstance(preprocess, str) else preprocess
    source = _source(spec, shape)
    fitted: Fitted = fit(
        source, shape, preprocess=declared, inputs=inputs, label=None if labels is None else str(labels),
        offset=label_offset, nan=nan,
    )  # fmt: skip
    fitted.check()
    return fitted


def _source(spec: str | Path, model: Interface) -> Source:
    path = Path(spec)
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder")
    held = Npz(path)
    return Npz(path, single=True) if not model.batched and _is_one_set(held, model) else held


def _is_one_set(held: Npz, model: Interface) -> bool:
    """Whether every input has an array with as many axes: a complete set of inputs."""
    found = [(port.shape, held.headers.get(port.name)) for port in model.required]
    return all(one is not None and shape is not None and len(one.shape) == len(shape) for shape, one in found)
