"""What rules need to know of the products of matrices, Gemm and MatMul."""

from __future__ import annotations

import numpy as np

from graphopt.ir.dtypes import FLOATS, epsilon
from graphopt.ir.types import MATRIX, Array
from graphopt.rewrite import Const, Match, Pattern, Value
from graphopt.rewrite.pattern import Node
from passes.fuse.linear.scaling import known, stored


def matrices(m: Match, *parts: Value) -> None:
    """Refuses operands of a MatMul that are not known to be matrices of floating numbers."""
    for part in parts:
        m.require(m.rank(part) == MATRIX, f"{m.tensor(part).name} is not known to be a matrix")
        m.require(m.dtype(part) in FLOATS, f"the numbers in {m.tensor(part).name} are not known to be floating")


def addable(m: Match, product: Pattern, c: Value) -> None:
    """Refuses a tensor `c` that is not known to broadcast to the shape of the matched product."""
    shape, given = m.shape(product) or (), m.shape(c)
    m.require(given is not None and len(given) <= len(shape), "the summand may have more dimensions than the product")
    pairs = zip(reversed(given or ()), reversed(shape), strict=False)
    fits = all(dim == 1 or (dim is not None and dim == wanted) for dim, wanted in pairs)
    m.require(fits, "the summand is not known to broadcast to the product")


def scale_columns(m: Match, gemm: Node, weights: Array, factors: Array) -> Array:
    """The second operand of the matched Gemm with each column of the product multiplied by its factor."""
    return weights * (factors[:, None] if m.attr(gemm, "transB", 0) else factors)


def columns(m: Match, product: Node, b: Value) -> int:
    """Number of columns of the matched Gemm or MatMul with the second operand `b`."""
    return _dimension(m, b, 0 if m.attr(product, "transB", 0) else -1)


def rows(m: Match, product: Node, b: Value) -> int:
    """Number of terms that the matched Gemm or MatMul of matrices, with the second operand `b`, sums up."""
    m.require(not m.attr(product, "transA", 0), "the first operand is transposed")
    return _dimension(m, b, -1 if m.attr(product, "transB", 0) else 0)


def scale_rows(m: Match, product: Node, weights: Array, factors: Array) -> Array:
    """The second operand of the matched product that stands for factors on the columns of the first."""
    return weights * (factors if m.attr(product, "transB", 0) else factors[:, None])


def shifted(m: Match, product: Node, w: Const, b: Const, summands: Array) -> Array:
    """The third operand of Gemm, with beta 1, that stands for summands on the columns of the first operand."""
    weights = m[w].T if m.attr(product, "transB", 0) else m[w]
    moved, old = m.attr(product, "alpha", 1.0) * (summands @ weights), m.attr(product, "beta", 1.0) * m.get(b, 0.0)
    return stored(m, no_larger(m, moved + old, moved, old), w)


def no_larger(m: Match, result: Array, *parts: Array) -> Array:
    """`result`; refuses if it is larger than each of the constants that it replaces."""
    m.require(result.size <= max(np.size(part) for part in parts), "the combined constant would be larger")
    return result


def attribute(m: Match, number: float, part: Value) -> float:
    """The number; refuses if an attribute's 32 bits cannot hold it as precisely as the dtype of `part` would."""
    dtype = m.dtype(part)
    with np.errstate(over="ignore"):
        error = abs(float(np.float32(number)) - number)
    m.require(dtype in FLOATS and error <= epsilon(dtype) * abs(number), "the factor does not fit an attribute")
    return number


def is_swap(perm: list[int] | None) -> bool:
    """Whether a Transpose with this attribute `perm` exchanges the axes of a matrix."""
    return perm is None or list(perm) == [1, 0]


def _dimension(m: Match, matrix: Value, axis: int) -> int:
    shape = m.shape(matrix)
    count = shape[axis] if shape else None
    return known(m, count if isinstance(count, int) else None, f"the shape of {m.tensor(matrix).name} is not known")
