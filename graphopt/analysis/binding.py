"""Small numbers for the free dimensions of a model, so that it can be run."""

from __future__ import annotations

from graphopt.analysis import symbolic
from graphopt.analysis.shapes import Shapes
from graphopt.ir.types import Model

SPATIAL_RANK = 4
CHOICES = {"batch": (2, 3), "spatial": (64, 96), "other": (5, 7)}
"""Two numbers for each kind of dimension: first axes, axes 2 and up of pictures and signals, all others."""


def free_dimensions(model: Model) -> dict[str, str]:
    """The named dimensions of the graph inputs, in order, each with its kind (a key of `CHOICES`)."""
    shapes = Shapes(model)
    kinds: dict[str, str] = {}
    for tensor in model.graph.inputs:
        dims = shapes.dims(tensor) or ()
        for axis, dim in enumerate(dims):
            if dim is not None and not isinstance(dim, int):
                spatial = len(dims) >= SPATIAL_RANK and axis >= 2  # noqa: PLR2004 - after batch and channels
                for name in sorted(symbolic.symbols(dim)):
                    kinds.setdefault(name, "batch" if axis == 0 else "spatial" if spatial else "other")
    return kinds


def bindings(model: Model) -> list[dict[str, int]]:
    """Two bindings with different numbers for every free dimension; a single empty one if there are none."""
    kinds = free_dimensions(model)
    if not kinds:
        return [{}]
    return [{name: CHOICES[kind][turn] for name, kind in kinds.items()} for turn in range(2)]
