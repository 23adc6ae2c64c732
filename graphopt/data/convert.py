"""How an array of a source becomes what an input of a model takes; what does not fit is refused before all work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from graphopt.data.frame import AXES, CHANNELS, Frame, frame
from graphopt.data.interface import Port, Shape
from graphopt.data.preprocess import Preprocess
from graphopt.data.source import Field, Source
from graphopt.errors import UsageError
from graphopt.ir.dtypes import INTEGERS, DType
from graphopt.ir.types import Array
from graphopt.ir.words import quoted

_GREY_AXES = AXES - 1
"""Of a picture without an axis for channels."""


class Conversion(Protocol):
    """Makes of what a source has what an input takes; its text says how."""

    def __call__(self, array: Array) -> Array:
        """(samples, ...) of the source to (samples, ...) of the input."""
        ...


@dataclass(frozen=True)
class AsIs:
    """The array itself, in the dtype of the input; `shape`, of one sample, is what the input declares."""

    where: str
    port: Port
    shape: Shape | None

    def __str__(self) -> str:
        return "as it is"

    def __call__(self, array: Array) -> Array:
        """Raises UsageError where samples do not fit."""
        if self.shape is not None and not fits(array.shape[1:], self.shape):
            raise _misfit(self.where, self.port, self.shape, array.shape[1:])
        if array.dtype != self.port.dtype:
            _check_dtype(self.where, array.dtype, self.port)
        return array if self.port.dtype is None else in_dtype(array, self.port.dtype)


@dataclass(frozen=True)
class Picture:
    """Pictures, preprocessed: channels last, as files hold them, to what the input takes.

    transposed: the array has its channels before height and width.
    """

    where: str
    preprocess: Preprocess
    frame: Frame
    dtype: DType
    transposed: bool = False

    def __str__(self) -> str:
        return f"{self.preprocess}:{self.frame}:{self.transposed}"

    def __call__(self, array: Array) -> Array:
        """Raises UsageError for pictures with another number of channels, and some that would have to be resized."""
        pixels = np.moveaxis(array, 1, -1) if self.transposed else array
        pixels = pixels[..., None] if pixels.ndim <= AXES else pixels
        if pixels.shape[-1] != self.frame.channels:
            raise UsageError(
                f"{self.where}: pictures have {pixels.shape[-1]} channels, the model takes {self.frame.channels}"
            )
        if self.frame.size is not None and pixels.shape[1:3] != self.frame.size:
            from graphopt.data.pictures import resized

            pixels = np.stack([resized(picture, self.frame.size, self.preprocess) for picture in pixels])
        numbers = self.preprocess.numbers(pixels[..., ::-1] if self.preprocess.order == "bgr" else pixels)
        if self.frame.layout == "nchw":
            numbers = np.moveaxis(numbers, -1, 1)
        return np.ascontiguousarray(_rounded(numbers, self.dtype))


@dataclass(frozen=True)
class Arithmetic:
    """Numbers of any shape, scaled as a preprocessing says, in the dtype of the input."""

    preprocess: Preprocess
    dtype: DType

    def __str__(self) -> str:
        return f"{self.preprocess}:numbers"

    def __call__(self, array: Array) -> Array:
        """No sample is refused."""
        return _rounded(self.preprocess.numbers(array), self.dtype)


def converter(source: Source, name: str, port: Port, preprocess: Preprocess | None, *, whole: bool) -> Conversion:
    """What makes an input of the array `name`. Raises UsageError, with what is expected and found, if nothing can.

    whole: every sample is a complete set of inputs, the axis for samples included.
    """
    field = source.fields[name]
    where = f"{source.name}: array {quoted(name)}"
    shape = port.shape if whole or port.shape is None else port.shape[1:]
    if preprocess is not None and port.dtype is not None and field.dtype.kind in "iubf":
        return _preprocessed(where, field, port, shape, preprocess)
    _check_dtype(where, field.dtype, port)
    if shape is not None and not fits(field.shape, shape):
        raise _misfit(where, port, shape, field.shape)
    return AsIs(where, port, shape)


def _preprocessed(where: str, field: Field, port: Port, shape: Shape | None, preprocess: Preprocess) -> Conversion:
    """Pictures where the input takes them, and scaled numbers where it takes anything else."""
    dtype = port.dtype
    if dtype is None or dtype.kind in "OUSb":
        raise UsageError(f"{where}: input {port} is {dtype}, and takes no scaled numbers")
    if shape is None or len(shape) != AXES or len(field.shape) not in (_GREY_AXES, AXES):
        if shape is not None and not fits(field.shape, shape):
            raise _misfit(where, port, shape, field.shape)
        return Arithmetic(preprocess, dtype)
    made = frame(where, port, shape, preprocess)
    transposed = len(field.shape) == AXES and field.shape[-1] not in CHANNELS and field.shape[0] in CHANNELS
    found = field.shape[0 if transposed else 2] if len(field.shape) == AXES else 1
    if found not in (None, made.channels):
        raise UsageError(f"{where}: pictures have {found} channels, input {port} takes {made.channels}")
    return Picture(where, preprocess, made, dtype, transposed)


def _rounded(numbers: Array, dtype: DType) -> Array:
    """Numbers in a dtype; the nearest for integers."""
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        numbers = np.clip(np.rint(numbers), info.min, info.max)
    return numbers.astype(dtype, copy=False)


def fits(found: tuple[int | None, ...], declared: Shape) -> bool:
    """Whether a shape, as far as it is known, is one that is declared."""
    return len(found) == len(declared) and all(
        not isinstance(dim, int) or size is None or dim == size for size, dim in zip(found, declared, strict=True)
    )


def in_dtype(array: Array, dtype: DType) -> Array:
    """The array in a dtype to which `_check_dtype` let it through."""
    if array.dtype.kind == "V" and array.dtype.itemsize == dtype.itemsize:
        return array.view(dtype)
    return array.astype(object if dtype == np.object_ else dtype, copy=False)


def _check_dtype(where: str, found: DType, port: Port) -> None:
    """Lets through what loses nothing: the same dtype, wider numbers of the same kind, and text for text."""
    wanted = port.dtype
    if wanted is None or found == wanted:
        return
    unnamed = found.kind == "V" and found.itemsize == wanted.itemsize  # .npz has no names for bfloat16 and smaller
    text = wanted == np.object_ and found.kind in "OUS"
    wider = found.kind + wanted.kind in ("ii", "uu", "ui", "ff") and np.can_cast(found, wanted, "safe")
    if unnamed or text or wider:
        return
    message = f"{where} is {_said(found)}, input {port} takes {_said(wanted)}"
    if found.kind in "iuf" and wanted.kind not in "OUSb":
        message += "; save it so, or say what its numbers mean: --preprocess raw, unit (x/255), signed (x/127.5-1), ..."
    raise UsageError(message)


def _said(dtype: DType) -> str:
    """As NumPy spells it, since users have to save it so; texts of any length are strings."""
    return "string" if dtype.kind in "OUS" else dtype.name


def _misfit(where: str, port: Port, wanted: Shape, found: tuple[int | None, ...]) -> UsageError:
    expected, there = (", ".join("?" if dim is None else str(dim) for dim in shape) for shape in (wanted, found))
    hint = "; pictures are brought into shape by a preprocessing (--preprocess)"
    return UsageError(
        f"{where} holds samples of the shape [{there}], input {port} takes samples of the shape [{expected}]"
        + (hint if len(found) == len(wanted) == AXES else "")
    )
