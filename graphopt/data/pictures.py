"""Pictures: cut and resized by Pillow."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphopt.data.preprocess import Preprocess
from graphopt.errors import UsageError
from graphopt.ir.types import Array


def pillow() -> Any:
    """The module `PIL.Image`. Raises UsageError that says how to install it."""
    try:
        from PIL import Image
    except ImportError:
        raise UsageError("pictures are read and resized by Pillow: pip install 'graphopt[pictures]'") from None
    return Image


def resized(picture: Array, size: tuple[int, int], preprocess: Preprocess) -> Array:
    """uint8 (height, width, channels) of the given height and width, cut and resized as the preprocessing says."""
    if picture.dtype != np.uint8:
        raise UsageError(f"only pictures of uint8 can be resized to {size[0]}x{size[1]}, found {picture.dtype}")
    image = pillow().fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    return pixels_of(brought(image, size, preprocess))


def brought(image: Any, size: tuple[int, int], preprocess: Preprocess) -> Any:
    """A picture of Pillow, cut and resized."""
    height, width = size
    box = None
    if preprocess.crop is not None:
        share = preprocess.crop * min(image.width / width, image.height / height)
        left, top = (image.width - share * width) / 2, (image.height - share * height) / 2
        box = (left, top, left + share * width, top + share * height)
    method = getattr(pillow().Resampling, preprocess.resample.upper())
    return image.resize((width, height), method, box=box)


def pixels_of(image: Any) -> Array:
    """(height, width, channels) of a picture of Pillow."""
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim < 3 else pixels  # noqa: PLR2004 - an axis for the channel
