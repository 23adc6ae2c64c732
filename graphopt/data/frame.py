"""What an input of a model expects of pictures: where it has its channels, how many, and which size."""

from __future__ import annotations

from dataclasses import dataclass

from graphopt.data.interface import Port, Shape
from graphopt.data.preprocess import Layout, Preprocess
from graphopt.errors import UsageError

CHANNELS = (1, 3, 4)
"""Numbers of channels by which the axis of a picture that holds them is told."""
AXES = 3
"""Of one picture: channels, height and width in either order."""


@dataclass(frozen=True)
class Frame:
    """size: height and width, or None to leave it. channels: how many the model takes; 3 where it takes any."""

    layout: Layout
    size: tuple[int, int] | None
    channels: int


def frame(where: str, port: Port, shape: Shape, preprocess: Preprocess) -> Frame:
    """What an input expects of pictures; shape: declared, of one sample. Raises UsageError if it takes none."""
    if len(shape) != AXES:
        raise UsageError(f"{where}: input {port} takes no pictures, expected samples, channels, height and width")
    layout = preprocess.layout or _layout(shape)
    if layout is None:
        raise UsageError(f"{where}: say where input {port} has its channels, with layout=nchw or layout=nhwc")
    channels, height, width = shape if layout == "nchw" else (shape[2], shape[0], shape[1])
    size = preprocess.size
    if size is None and isinstance(height, int) and isinstance(width, int):
        size = (height, width)
    if size is not None and any(isinstance(a, int) and a != b for a, b in zip((height, width), size, strict=True)):
        raise UsageError(f"{where}: size {size[0]}x{size[1]} does not fit input {port}")
    made = Frame(layout, size, channels if isinstance(channels, int) else 3)
    for numbers, what in ((preprocess.mean, "mean"), (preprocess.std, "std")):
        if len(numbers) not in (1, made.channels):
            raise UsageError(f"{where}: {what} has {len(numbers)} numbers for {made.channels} channels")
    return made


def _layout(shape: Shape) -> Layout | None:
    """The layout of a declared picture; None if it cannot be told."""
    first, last = shape[0] in CHANNELS, shape[-1] in CHANNELS
    if first or last:
        return "nchw" if first else "nhwc"
    return None
