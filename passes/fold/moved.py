"""Large weights that are only moved: nothing is read or copied before they are written."""

from __future__ import annotations

from graphopt.analysis.shapes import Shapes
from graphopt.ir.dtypes import bits, numpy_dtype
from graphopt.ir.types import Array, Node, Stored

Step = tuple[str, tuple[int, ...]]
"""`("transpose", permutation)` or `("reshape", shape)`."""

RESHAPING = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
"""Operators whose output has the elements of the first input in their order."""


class Moved(Stored):
    """The elements of `source`, in another order or shape: what `load` makes of it."""

    def __init__(self, source: Array | Stored, steps: tuple[Step, ...], shape: tuple[int, ...]) -> None:
        nbytes = source.nbytes if bits(source.dtype) % 8 else source.dtype.itemsize * _size(shape)
        super().__init__(shape, source.dtype, nbytes)
        self.source, self.steps = source, steps

    def load(self) -> Array:
        """The array, read-only; a view of the source where the steps allow it."""
        array = self.source.load() if isinstance(self.source, Stored) else self.source
        for kind, argument in self.steps:
            array = array.transpose(argument) if kind == "transpose" else array.reshape(argument)
        array = array.view()
        array.flags.writeable = False
        return array


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for dim in shape:
        size *= dim
    return size


def moved(node: Node, data: Array | Stored, shapes: Shapes) -> Moved | None:
    """What `node` makes of its first input, `data`, if it only moves elements; None if it does anything else."""
    step = _step(node, data, shapes)
    if step is None:
        return None
    shape = shapes.static(node.outputs[0])
    if shape is None or _size(shape) != _size(tuple(data.shape)):
        return None
    source, steps = (data.source, data.steps) if isinstance(data, Moved) else (data, ())
    return Moved(source, (*steps, step), shape)


def _step(node: Node, data: Array | Stored, shapes: Shapes) -> Step | None:
    if node.domain or not node.outputs[0].name:
        return None
    if node.op == "Transpose":
        rank = len(data.shape)
        permutation = tuple(node.attrs.get("perm", range(rank)[::-1]))
        return ("transpose", permutation) if sorted(permutation) == list(range(rank)) else None
    same_type = node.op == "Cast" and _target(node) == data.dtype
    shape = shapes.static(node.outputs[0])
    return ("reshape", shape) if shape is not None and (node.op in RESHAPING or same_type) else None


def _target(node: Node) -> object:
    code = node.attrs.get("to")
    return numpy_dtype(code) if isinstance(code, int) else None
