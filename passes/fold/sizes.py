"""How large the results of nodes will be, before anything is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from graphopt.analysis.shapes import Shapes
from graphopt.ir import values
from graphopt.ir.dtypes import DType, bits
from graphopt.ir.types import Constant, Node, Tensor

DATA_DEPENDENT = {
    "NonZero": 64, "Unique": 25, "Compress": 1,
    "SequenceConstruct": 1, "SequenceInsert": 1, "SequenceErase": 1, "SequenceAt": 1, "SequenceLength": 1,
    "SplitToSequence": 1, "ConcatFromSequence": 1, "SequenceEmpty": 1,
}  # fmt: skip
"""Operators whose results have no shape that types tell, to the bytes they have at most for each byte of input
(NonZero: eight for each element and dimension)."""

SEQUENCES = frozenset({"SequenceConstruct", "SequenceInsert", "SequenceErase", "SplitToSequence", "SequenceEmpty"})
"""Operators whose results are no tensors, so that only other constant nodes can use them."""

OVERHEAD = 64
"""Bytes of a small result, whatever it holds."""


def weight(constant: Constant) -> int:
    """Bytes of a constant; strings by their characters."""
    if constant.dtype.kind == "O" and not hasattr(constant.stored, "load"):
        return sum(len(text) for text in constant.values.reshape(-1).tolist()) + OVERHEAD
    return constant.nbytes


def ceiling(node: Node, shapes: Shapes, sizes: Mapping[Tensor, int]) -> dict[Tensor, int] | None:
    """The bytes that each output of `node` has at most; None where one may have any size.

    sizes: the same for the inputs that are not constants.
    """
    given = sum(_held(tensor, sizes) for tensor in node.inputs if tensor.name)
    found: dict[Tensor, int] = {}
    for tensor in node.outputs:
        if not tensor.name:
            continue
        static, dtype = shapes.static(tensor), shapes.dtype(tensor)
        if static is not None and dtype is not None:
            found[tensor] = _bytes(static, dtype, given)
        elif node.op in DATA_DEPENDENT and not node.domain:
            factor = DATA_DEPENDENT[node.op] * (shapes.rank(node.inputs[0]) or 1 if node.op == "NonZero" else 1)
            found[tensor] = factor * given + OVERHEAD
        else:
            return None
    return found


def _held(tensor: Tensor, sizes: Mapping[Tensor, int]) -> int:
    constant = values.constant(tensor)
    return sizes.get(tensor, 0) if constant is None else weight(constant)


def _bytes(static: tuple[int, ...], dtype: DType, given: int) -> int:
    """A string may be as long as all input strings together."""
    return prod(static) * (given + OVERHEAD) if dtype.kind == "O" else (prod(static) * bits(dtype) + 7) // 8
