"""Additions in a row, as a bias and a residual connection are."""

from __future__ import annotations

from graphopt import Builder, Close, Match, rule, values
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import Tensor
from graphopt.ir.values import constant

PICTURES = 4
"""Dimensions from which on ONNX Runtime keeps tensors in blocks of channels, where it adds two of them, not three."""

x, y, z = values("x y z")


@rule((x + y) + z, numerics=Close(2), opset=8)
def sum_of_three(m: Match, new: Builder) -> Tensor:
    """(x + y) + z is Sum(x, y, z), which goes through memory once."""
    m.require(m.dtype(x) in FLOATS, "only floating numbers have a Sum")
    rank = m.rank(m.root.outputs[0])
    m.require(rank is not None and rank < PICTURES, "the sum is one of pictures, or of unknown rank")
    m.require(not all(constant(m[part]) for part in (x, y)), "two summands are constant: they add up beforehand")
    return new.Sum(m[x], m[y], m[z])
