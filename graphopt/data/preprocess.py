"""What becomes of a picture before a network sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, Literal, get_args

import numpy as np

from graphopt.errors import UsageError
from graphopt.ir.types import Array

Layout = Literal["nchw", "nhwc"]
Order = Literal["rgb", "bgr"]
Resample = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
_CHOICES = {"layout": get_args(Layout), "order": get_args(Order), "resample": get_args(Resample)}


@dataclass(frozen=True)
class Preprocess:
    """A declared preprocessing: (pixel * scale - mean) / std, after cutting and resizing.

    size: height and width that the network takes; by default what its input declares.
    crop: the share of the largest centred part of the picture with the proportions of `size` that is kept and then
        resized; None resizes the whole picture, whatever its proportions.
    mean, std: one number for all channels, or one for each, in the order in which the network takes channels.
    layout: where the network has its channels; by default what its input declares.
    order: of the channels that the network takes; files and arrays hold red, green, blue.
    resample: how pictures are resized.
    """

    size: tuple[int, int] | None = None
    crop: float | None = 1.0
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: Layout | None = None
    order: Order = "rgb"
    resample: Resample = "bilinear"

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in (*allowed, getattr(Preprocess, name)):
                known = ", ".join(allowed)
                raise UsageError(f"preprocess: {name} must be one of {known}, found {getattr(self, name)!r}")
        if self.crop is not None and not 0 < self.crop <= 1:
            raise UsageError(f"preprocess: crop must be above 0 and at most 1, found {self.crop}")
        if self.size is not None and min(self.size) < 1:
            raise UsageError(f"preprocess: size must be a height and a width of at least 1, found {self.size}")
        if not all(np.isfinite([self.scale, *self.mean, *self.std])) or 0 in self.std:
            raise UsageError("preprocess: scale, mean and std must be finite numbers, and std not 0")

    def __str__(self) -> str:
        default = Preprocess()
        given = [one.name for one in fields(self) if getattr(self, one.name) != getattr(default, one.name)]
        return ":".join(["raw", *(f"{name}={_spelled(getattr(self, name))}" for name in given)])

    def numbers(self, array: Array) -> Array:
        """The arithmetic alone, in float32; the last axis holds the channels if `mean` or `std` has several numbers."""
        made = array.astype(np.float32)
        made *= np.float32(self.scale)
        made -= np.asarray(self.mean, np.float32)
        made /= np.asarray(self.std, np.float32)
        return made


IMAGENET = Preprocess(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
PRESETS: Mapping[str, Preprocess] = {
    "raw": Preprocess(),
    "unit": Preprocess(scale=1 / 255),
    "signed": Preprocess(scale=1 / 127.5, mean=(1.0,)),
    "imagenet": IMAGENET,
}
"""raw: 0 to 255. unit: 0 to 1. signed: -1 to 1. imagenet: as torchvision's networks take them."""


def parse_preprocess(text: str) -> Preprocess:
    """The preprocessing that a text spells: a preset and changes to it, `imagenet:crop=0.875:layout=nhwc`.

    Numbers may be fractions (`scale=1/255`), and lists are joined with `+` (`mean=0.5+0.5+0.5`); size is `224` or
    `height+width`, and `crop=none` keeps the whole picture. Raises UsageError for anything else.
    """
    preset, *changes = text.strip().split(":")
    if "=" in preset:
        preset, changes = "raw", [preset, *changes]
    if preset not in PRESETS:
        raise UsageError(f"there is no preprocessing {preset!r}; there are: {', '.join(PRESETS)}, each with changes "
                         "such as :crop=0.875:scale=1/255")  # fmt: skip
    return replace(PRESETS[preset], **dict(map(_change, changes)))


def _change(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if name not in _READERS or not equals:
        raise UsageError(f"preprocess: {text!r} is no option; there are: {', '.join(_READERS)}, as in scale=1/255")
    try:
        return name, _READERS[name](value)
    except (ValueError, ZeroDivisionError):
        example = _EXAMPLES[name]
        raise UsageError(f"preprocess: {value!r} is no value for {name}; write {name}={example}") from None


def _number(text: str) -> float:
    above, _, below = text.partition("/")
    return float(above) / float(Fraction(below)) if below else float(above)


def _list(text: str) -> tuple[float, ...]:
    return tuple(map(_number, text.split("+")))


def _size(text: str) -> tuple[int, int]:
    sides = tuple(map(int, text.split("+")))
    height, width = sides if len(sides) > 1 else sides * 2
    return height, width


_READERS: Mapping[str, Callable[[str], Any]] = {
    "size": _size,
    "crop": lambda text: None if text == "none" else _number(text),
    "scale": _number,
    "mean": _list,
    "std": _list,
    "layout": str,
    "order": str,
    "resample": str,
}


_EXAMPLES = {
    "size": "224 or size=240+320, height and width",
    "crop": "0.875 or crop=none",
    "scale": "1/255",
    "mean": "0.5 or mean=0.485+0.456+0.406, one for each channel",
    "std": "0.25 or std=0.229+0.224+0.225, one for each channel",
}


def _spelled(value: object) -> str:
    if isinstance(value, tuple):
        return "+".join(map(_spelled, value))
    return "none" if value is None else repr(value) if isinstance(value, float) else str(value)
