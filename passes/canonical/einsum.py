"""Products of matrices that are spelled as Einsum."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from graphopt import Builder, Close, Match, op, rule, values
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import MATRIX, Tensor

FUSED = "FusedMatMul", "com.microsoft"
"""What reads a transposed operand as it lies."""
MULTIPLIED = FLOATS - {np.dtype(ml_dtypes.bfloat16)}
"""ONNX Runtime's CPU provider has Einsum in bfloat16, but not MatMul."""

a, b = values("a b")
einsum = op.Einsum(a, b)


@rule(einsum, numerics=Close(16), opset=12)
def einsum_product(m: Match, new: Builder) -> Tensor:
    """Einsum("bhid,bhjd->bhij") is a product of matrices, one of them perhaps transposed, and so is any such."""
    m.require(m.dtype(a) in MULTIPLIED, "the numbers are not known to be floating, or they are in bfloat16")
    equation = m.attr(einsum, "equation")
    text = (equation.decode() if isinstance(equation, bytes) else str(equation)).replace(" ", "")
    sides, _, result = text.partition("->")
    left, _, right = sides.partition(",")
    plain = all(len({*one}) == len(one) >= MATRIX and one.isalpha() for one in (left, right, result))
    m.require(plain and len(result) == len(left), "it is no product of matrices")
    lead, row, column = result[:-2], result[-2], result[-1]
    shared = {*left} & {*right} - {*result}
    m.require(len(shared) == 1, "it does not add up along one axis")
    (inner,) = shared
    stacked = left[:-2] == lead and right[:-2] in ("", lead)
    swap_left, swap_right = left[-2:] == inner + row, right[-2:] == column + inner
    m.require(stacked and (swap_left or left[-2:] == row + inner), "the first operand lies in another order")
    m.require(swap_right or right[-2:] == inner + column, "the second operand lies in another order")
    free = not (swap_left or swap_right) or m.target.runs(*FUSED, m.dtype(a))
    m.require(free, f"the target {m.target} has no product that transposes an operand")
    same = not right[:-2] or (m.shape(a) or ())[:-2] == (m.shape(b) or (None,))[:-2]
    m.require(same, "the operands are not known to have the same leading dimensions")
    first, second = (
        new.Transpose(m[one], perm=[*range(len(letters) - MATRIX), len(letters) - 1, len(letters) - MATRIX])
        if swap
        else m[one]
        for one, letters, swap in ((a, left, swap_left), (b, right, swap_right))
    )
    made: Tensor = new.MatMul(first, second)
    return made
