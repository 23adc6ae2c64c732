"""Tensors inside two networks that can be compared: of one name, and of one shape."""

from __future__ import annotations

from graphopt.analysis.shapes import Shapes
from graphopt.ir.model import Model
from graphopt.ir.types import Tensor, Variable

MOST = 8
"""More say little more, and every one takes memory."""


def shared(teacher: Model, student: Model) -> list[tuple[Tensor, Tensor]]:
    """Pairs of activations of the teacher and the student: those that several nodes read, such as the ends of residual
    blocks, or else any; the last ones of stretches of equal length, if there are many."""
    names = {tensor.name: tensor for node in teacher.graph.nodes for tensor in node.outputs if tensor.name}
    sizes, others = Shapes(teacher), Shapes(student)
    outputs = {tensor.name for tensor in student.graph.outputs}
    pairs: list[tuple[Tensor, Tensor]] = []
    for node in student.graph.nodes:
        for tensor in node.outputs:
            twin = names.get(tensor.name)
            if twin is None or tensor.name in outputs or not isinstance(twin, Variable):
                continue
            shape, dtype = others.shape(tensor), others.dtype(tensor)
            if dtype is not None and dtype.kind == "f" and shape and _alike(shape, sizes.shape(twin)):
                pairs.append((twin, tensor))
    pairs = [pair for pair in pairs if len(pair[1].outputs) > 1] or pairs
    count = min(MOST, len(pairs))
    return [pairs[(place + 1) * len(pairs) // count - 1] for place in range(count)]


def _alike(shape: tuple[object, ...], other: tuple[object, ...] | None) -> bool:
    """Whether two shapes are known and the same, the batch aside."""
    return other is not None and len(shape) == len(other) and None not in shape[1:] and shape[1:] == other[1:]
