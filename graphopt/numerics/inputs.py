"""What a model is fed: which inputs it has to get, of which type, and whether given ones fit."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from graphopt.analysis.shapes import Shapes
from graphopt.errors import UsageError
from graphopt.ir import dtypes
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Tensor
from graphopt.ir.words import listed, quoted
from graphopt.numerics.domains import domain_of
from graphopt.numerics.feeds import InputSpec
from graphopt.numerics.region import Unverifiable

Feeds = Mapping[str, Array]
"""Arrays by input name."""


def required(model: Model) -> dict[str, Tensor]:
    """The inputs that must be fed."""
    return {tensor.name: tensor for tensor in model.graph.inputs if tensor not in model.graph.defaults}


def input_specs(model: Model, shapes: Shapes) -> tuple[InputSpec, ...]:
    """What the inputs of a model without a default must be fed, at the binding of `shapes`. Raises Unverifiable."""
    specs = []
    for tensor in model.graph.inputs:
        dtype, static = shapes.dtype(tensor), shapes.static(tensor)
        if dtype is None or static is None:
            raise Unverifiable(f"the shape of the input {tensor.name} is unknown")
        if tensor not in model.graph.defaults:
            specs.append(InputSpec(tensor.name, dtype, static, domain_of(tensor, shapes)))
    return tuple(specs)


def read_feeds(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file. Raises UsageError if it is none."""
    try:
        with path.open("rb") as file:
            start = file.read(6)
        if not start.startswith((b"PK", b"\x93NUMPY")):
            raise UsageError(f"{path} cannot be read as an .npz file: it is none")
        held = np.load(path, allow_pickle=False)
        if isinstance(held, np.ndarray):
            raise UsageError(f"{path} is a single array; give an .npz file with one array for each input")
        with held:
            return {name: held[name] for name in held.files}
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read as an .npz file: {error}") from error


def fitting(model: Model, name: str, feeds: Feeds) -> Feeds:
    """The inputs of `model` out of `feeds`. Raises UsageError, with expected and found, where they do not fit."""
    fit: dict[str, Array] = {}
    needed = required(model)
    for tensor in model.graph.inputs:
        if tensor.name in feeds:
            fit[tensor.name] = _fitting(tensor, name, feeds[tensor.name])
        elif tensor.name in needed:
            raise UsageError(f"{name} has no array {quoted(tensor.name)}; it has {listed(map(quoted, feeds), 20)}")
    return fit


def _fitting(tensor: Tensor, name: str, array: Array) -> Array:
    dtype, shape = tensor.dtype, tensor.shape
    if dtype is not None and array.dtype.kind == "V" and array.dtype.itemsize == dtype.itemsize:
        array = array.view(dtype)  # npz files do not know the names of bfloat16 and smaller types
    text = dtype is not None and dtype == np.object_ and array.dtype.kind in "OUS"
    if dtype is not None and array.dtype != dtype and not text:
        raise UsageError(f"{name}: input {quoted(tensor.name)} must be {dtypes.name(dtype)}, found {array.dtype}")
    if shape is not None and not _matches(array.shape, shape):
        dims = [dim if dim is not None else "?" for dim in shape]
        raise UsageError(f"{name}: input {quoted(tensor.name)} must have shape {dims}, found {list(array.shape)}")
    return array


def _matches(found: tuple[int, ...], declared: Sequence[int | str | None]) -> bool:
    return len(found) == len(declared) and all(
        not isinstance(dim, int) or dim < 0 or dim == size for dim, size in zip(declared, found, strict=True)
    )
