"""Interfaces of models for tests of data, and files to feed them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graphopt.data.interface import Interface, Port

FLOAT = np.dtype(np.float32)
INT = np.dtype(np.int64)


def taking(*inputs: tuple, gives: tuple = ("n", 3), optional: frozenset[str] = frozenset()) -> Interface:
    """A model with inputs (name, shape) or (name, shape, dtype), and one output."""
    ports = tuple(Port(name, np.dtype(dtype[0]) if dtype else FLOAT, shape) for name, shape, *dtype in inputs)
    return Interface("m.onnx", ports, (Port("y", FLOAT, gives),), optional)


ROWS = taking(("x", ("n", 4)))
"""Takes any number of rows of four numbers."""
PICTURES = taking(("image", ("n", 3, 8, 8)))


def rows(count: int, width: int = 4) -> np.ndarray:
    return np.arange(count * width, dtype=np.float32).reshape(count, width)


def saved(path: Path, **arrays: np.ndarray) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def together(data, size=None, limit=None):
    """All feeds of one input and all labels, without padding."""
    batches = list(data.batches(size, limit))
    (name,) = batches[0].feeds
    feeds = np.concatenate([batch.feeds[name][: batch.count] for batch in batches])
    labels = None if batches[0].labels is None else np.concatenate([batch.labels for batch in batches])
    return feeds, labels
