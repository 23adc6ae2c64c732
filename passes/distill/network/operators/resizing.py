"""Resize: along each axis a product with a matrix of interpolation weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from graphopt.ir.types import Array
from passes.distill.network.call import Call, Given, Operator, ints

COORDINATES: Mapping[str, Callable[[Array, int, int, float], Array]] = {
    "half_pixel": lambda x, _old, _new, scale: (x + 0.5) / scale - 0.5,
    "half_pixel_symmetric": lambda x, old, new, scale: old / 2 * (1 - new / (scale * old)) + (x + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda x, _old, new, scale: (x + 0.5) / scale - 0.5 if new > 1 else x * 0.0,
    "align_corners": lambda x, old, new, _scale: x * (old - 1) / (new - 1) if new > 1 else x * 0.0,
    "asymmetric": lambda x, _old, _new, scale: x / scale,
}
"""Where an element of the new axis lies on the old one: (index, old size, new size, scale)."""
NEAREST: Mapping[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}
REGIONS_SINCE = 11
"""The version of ai.onnx in which Resize got a region of interest, sizes, and ways to place elements."""


REACH = 2
"""How far cubic interpolation looks, in elements."""


def _cubic(distance: Array, a: float) -> Array:
    """R. Keys, "Cubic convolution interpolation for digital image processing", 1981."""
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = a * (((d - 5) * d + 8) * d - 4)
    return np.where(d <= 1, near, np.where(d < REACH, far, 0.0))


def _weights(call: Call, old: int, new: int, scale: float) -> Array:
    """(new, old): what each element of the old axis gives to one of the new."""
    usual = "half_pixel" if call.node.op == "Resize" and call.opset >= REGIONS_SINCE else "asymmetric"
    kind = call.attr("coordinate_transformation_mode", usual)
    call.require(kind in COORDINATES, f"coordinates {kind}")
    at = COORDINATES[kind](np.arange(new, dtype=np.float64), old, new, scale)
    matrix = np.zeros((new, old))
    rows = np.arange(new)
    if call.attr("mode", "nearest") == "nearest":
        simple = "floor" if call.node.op == "Upsample" else "round_prefer_floor"
        chosen = NEAREST[call.attr("nearest_mode", simple)](at)
        matrix[rows, np.clip(chosen, 0, old - 1).astype(int)] = 1
        return matrix
    cubic = call.attr("mode", "nearest") == "cubic"
    a = call.attr("cubic_coeff_a", -0.75)
    stretch = min(1.0, scale) if call.attr("antialias", 0) else 1.0
    reach = math.ceil((2 if cubic else 1) / stretch)
    for step in range(1 - reach, reach + 1):
        place = np.floor(at) + step
        distance = (at - place) * stretch
        weight = _cubic(distance, a) if cubic else np.maximum(0, 1 - np.abs(distance))
        inside = (place >= 0) & (place < old) | (not call.attr("exclude_outside", 0))
        np.add.at(matrix, (rows, np.clip(place, 0, old - 1).astype(int)), weight * inside)
    matrix /= matrix.sum(1, keepdims=True)
    return matrix


def _resize(call: Call, x: Tensor, roi: Given = None, scales: Given = None, sizes: Given = None) -> Tensor:
    if call.node.op == "Upsample" or call.opset < REGIONS_SINCE:
        scales = roi
    call.require(call.attr("keep_aspect_ratio_policy", "stretch") == "stretch", "a Resize that keeps the aspect ratio")
    axes = [axis % x.ndim for axis in call.attr("axes", range(x.ndim))]
    factors = call.attr("scales", ()) if scales is None else scales.tolist()
    wanted = ints(sizes) or [math.floor(x.shape[axis] * factor) for axis, factor in zip(axes, factors, strict=True)]
    for place, (axis, new) in enumerate(zip(axes, wanted, strict=True)):
        old = x.shape[axis]
        scale = new / old if sizes is not None else factors[place]
        if new != old or scale != 1:
            matrix = torch.from_numpy(_weights(call, old, new, scale)).to(x.dtype)
            x = (x.movedim(axis, -1) @ matrix.T).movedim(-1, axis)
    return x


OPERATORS: Mapping[str, Operator] = {"Resize": _resize, "Upsample": _resize}
