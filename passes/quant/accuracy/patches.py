"""What a product multiplies with its weights, as rows: pieces of its activation, drawn at random.

A row holds what one element of the result is computed from; a grouped convolution has such a row for each group. So a
weight is a matrix for each group, and the product one of matrices, whatever it was.
"""

from __future__ import annotations

import numpy as np

from graphopt.ir.types import MATRIX, Array, Node
from passes.quant.units import Unit


def suits(unit: Unit) -> bool:
    """Whether the unit is a product whose rows are known here, and its weight is its own: a shared one stays one."""
    if unit.weight is None or not unit.weight.size or len(unit.weight.outputs) > 1:
        return False
    attrs = unit.node.attrs
    if unit.node.op == "Conv":
        return attrs.get("auto_pad", "NOTSET") in ("NOTSET", b"NOTSET", "VALID", b"VALID")
    plain = not attrs.get("transA", 0) and attrs.get("alpha", 1.0) == 1
    return unit.node.op in ("Gemm", "MatMul") and len(unit.weight.shape) == MATRIX and plain


def matrices(unit: Unit, weight: Array) -> Array:
    """The weight as (groups, results, row): a copy or a view."""
    if unit.node.op == "Conv":
        groups = int(unit.node.attrs.get("group", 1))
        return weight.reshape(groups, len(weight) // groups, -1)
    return (weight if _turned(unit.node) else weight.T)[None]


def weight_of(unit: Unit, matrices: Array, shape: tuple[int, ...]) -> Array:
    """The inverse of `matrices`."""
    if unit.node.op == "Conv":
        return matrices.reshape(shape)
    matrix: Array = matrices[0]
    return matrix if _turned(unit.node) else matrix.T


def per_row(unit: Unit, channels: Array) -> Array:
    """Numbers for each output channel, or one for all, as (groups, results, 1)."""
    groups = int(unit.node.attrs.get("group", 1)) if unit.node.op == "Conv" else 1
    return channels.reshape(groups, -1, 1) if channels.ndim else channels.reshape(1, 1, 1)


def rows(unit: Unit, activation: Array, count: int, rng: np.random.Generator) -> Array:
    """At most `count` rows of an activation: (rows, groups, row)."""
    if not activation.size:
        return np.empty((0, 1, 1), np.float32)
    if unit.node.op != "Conv":
        flat = activation.reshape(-1, activation.shape[-1])
        return flat[rng.permutation(len(flat))[:count], None]
    return _windows(unit, activation, count, rng)


def _windows(unit: Unit, activation: Array, count: int, rng: np.random.Generator) -> Array:
    """Windows of a convolution at places drawn with repetition."""
    attrs, sizes = unit.node.attrs, unit.own_weight.shape[2:]
    rank = len(sizes)
    strides, dilations = attrs.get("strides", [1] * rank), attrs.get("dilations", [1] * rank)
    pads = attrs.get("pads", [0] * 2 * rank)
    padded = np.pad(activation, [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)])
    places = []
    for axis in range(rank):
        steps = np.arange(sizes[axis]) * dilations[axis]
        most = (padded.shape[axis + 2] - steps[-1] - 1) // strides[axis] + 1
        start = rng.integers(0, max(1, most), count) * strides[axis]
        shape = [count, *(len(steps) if other == axis else 1 for other in range(rank))]
        places.append((start[:, None] + steps).reshape(shape))
    samples = rng.integers(0, len(padded), count).reshape(count, *[1] * rank)
    found = np.moveaxis(padded[(samples, slice(None), *places)], -1, 1)
    return found.reshape(count, int(attrs.get("group", 1)), -1)


def _turned(node: Node) -> bool:
    return bool(node.attrs.get("transB", 0))
