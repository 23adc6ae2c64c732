"""What rules need that write operators of ONNX Runtime's own domain."""

from __future__ import annotations

from typing import Any

from graphopt.ir.types import Tensor
from graphopt.rewrite import Builder, Match, Value
from graphopt.rewrite.pattern import Pattern
from graphopt.rewrite.tape import Operand

DOMAIN = "com.microsoft"
DEFAULT_EPSILON = 1e-5
"""What LayerNormalization and RMSNormalization add to the variance by default; the fused ones have another default."""


def contrib(new: Builder, op: str, *inputs: Operand, **attrs: Any) -> Tensor:
    """A call, with one output, of an operator of ONNX Runtime's own domain."""
    made: Tensor = new.node(op, *inputs, domain=DOMAIN, **attrs)
    return made


def is_row(m: Match, part: Value, x: Pattern) -> bool:
    """Whether the part is a vector with one number for each element of the last dimension of `x`."""
    row, shape = m.shape(part), m.shape(x)
    return row is not None and len(row) == 1 and bool(shape) and row[0] is not None and row[0] == (shape or ())[-1]
