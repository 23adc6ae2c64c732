"""Pictures: files that Pillow reads, cut and resized as a preprocessing says."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from graphopt.data.batch import Chunk
from graphopt.data.files import combined, digest
from graphopt.data.frame import AXES, Frame
from graphopt.data.preprocess import Preprocess
from graphopt.data.source import Field
from graphopt.errors import UsageError
from graphopt.ir.types import Array

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""What a file of these names may be inside: Pillow's other decoders are rarely used, and some run programs."""
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's names by number of channels."""
_EIGHT_BITS = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})


def pillow() -> Any:
    """The module `PIL.Image`. Raises UsageError that says how to install it."""
    try:
        from PIL import Image
    except ImportError:
        raise UsageError("pictures are read and resized by Pillow: pip install 'graphopt[pictures]'") from None
    return Image


@dataclass(frozen=True)
class Pictures:
    """Files of pictures, as an array `picture` of uint8 (height, width, channels); of one size if `frame` has one.

    Every file is opened, but not decoded, beforehand: UsageError names one that is no picture.
    """

    name: str
    files: Sequence[Path]
    frame: Frame
    preprocess: Preprocess

    def __post_init__(self) -> None:
        for path in self.files:
            _opened(path).close()

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The pictures."""
        height, width = self.frame.size or (None, None)
        return {"picture": Field(np.dtype(np.uint8), (height, width, self.frame.channels), len(self.files))}

    def cheap(self, _names: Collection[str]) -> bool:
        """Decoding takes time."""
        return False

    def chunks(self, size: int, names: Collection[str]) -> Iterator[Chunk]:
        """Pictures of one size, at most `size` of them."""
        for start in range(0, len(self.files) if "picture" in names else 0, size):
            held: list[Array] = []
            for path in self.files[start : start + size]:
                picture = self._decoded(path)
                if held and picture.shape != held[0].shape:
                    yield {"picture": np.stack(held)}
                    held = []
                held.append(picture)
            yield {"picture": np.stack(held)}

    def digest(self) -> str:
        """Of all files, and of how they are cut and resized."""
        return combined(*map(digest, self.files), str(self.frame), str(self.preprocess))

    def _decoded(self, path: Path) -> Array:
        with _opened(path) as image:
            try:
                converted = image.convert(_MODES[self.frame.channels])
            except (OSError, ValueError, SyntaxError, EOFError) as error:
                raise UsageError(f"{path} cannot be decoded: {error}") from error
        return _pixels(converted if self.frame.size is None else _brought(converted, self.frame.size, self.preprocess))


def _opened(path: Path) -> Any:
    """A picture whose header has been read. Raises UsageError for what is none, or too large to be honest."""
    image = pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", image.DecompressionBombWarning)
            opened = image.open(path, formats=_FORMATS)
    except (image.DecompressionBombWarning, image.DecompressionBombError) as error:
        raise UsageError(f"{path} claims to be too large a picture: {error}") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise UsageError(f"{path} cannot be read as a picture: {error}") from error
    if opened.mode not in _EIGHT_BITS:
        mode = opened.mode
        opened.close()
        raise UsageError(f"{path} has pixels of the kind {mode}, expected eight bits for each channel")
    return opened


def resized(picture: Array, size: tuple[int, int], preprocess: Preprocess) -> Array:
    """uint8 (height, width, channels) of the given height and width, cut and resized as the preprocessing says."""
    if picture.dtype != np.uint8:
        raise UsageError(f"only pictures of uint8 can be resized to {size[0]}x{size[1]}, found {picture.dtype}")
    image = pillow().fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    return _pixels(_brought(image, size, preprocess))


def _brought(image: Any, size: tuple[int, int], preprocess: Preprocess) -> Any:
    """A picture of Pillow, cut and resized."""
    height, width = size
    if preprocess.crop is None:
        box = (0.0, 0.0, float(image.width), float(image.height))
    else:
        share = preprocess.crop * min(image.width / width, image.height / height)
        left, top = (image.width - share * width) / 2, (image.height - share * height) / 2
        box = (left, top, left + share * width, top + share * height)
    if box == (0, 0, *image.size) and (width, height) == image.size:
        return image
    method = getattr(pillow().Resampling, preprocess.resample.upper())
    return image.resize((width, height), method, box=box)


def _pixels(image: Any) -> Array:
    """(height, width, channels) of a picture of Pillow."""
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim < AXES else pixels
