"""Products of matrices with what ONNX Runtime's FusedMatMul does on the way: transposed operands, and a factor."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, op, rule, values
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import MATRIX, Tensor
from graphopt.ir.values import constant
from graphopt.rewrite.pattern import Node
from passes.blocks.contrib import contrib
from passes.fuse.guards import number
from passes.fuse.linear.product import attribute

EMITS = "com.microsoft::FusedMatMul"

a, b = values("a b")
factor = Const("factor")
left, right = op.Transpose(a), op.Transpose(b)
own = op.domain("com.microsoft")
from_left = left @ b | own.FusedMatMul(left, b)
from_right = a @ right | own.FusedMatMul(a, right)
plain, fused = a @ b, own.FusedMatMul(a, b)
by_left, by_right = a * factor, b * factor
scaled_left = by_left @ b | own.FusedMatMul(by_left, b)
scaled_right = a @ by_right | own.FusedMatMul(a, by_right)


@rule(from_left | from_right, numerics=Close(4), emits=EMITS)
def transposed_operand(m: Match, new: Builder) -> Tensor:
    """A product with an operand whose last two axes are exchanged is FusedMatMul, which reads it as it lies."""
    _matrices(m)
    side = "transA" if left in m else "transB"
    transposed, operand = (left, a) if left in m else (right, b)
    rank = m.rank(operand) or 0
    swapped = [*range(rank - MATRIX), rank - 1, rank - MATRIX]
    m.require(m.attr(transposed, "perm", swapped if rank == MATRIX else None) == swapped, "other axes are exchanged")
    batches = any(m.root.attrs.get(name, 0) for name in ("transBatchA", "transBatchB"))
    m.require(not batches, "the product exchanges other axes itself")
    return contrib(new, "FusedMatMul", m[a], m[b], **m.root.attrs | {side: 1 - m.root.attrs.get(side, 0)})


@rule(scaled_left | scaled_right, numerics=Close(8), emits=EMITS)
def scaled_operand(m: Match, new: Builder) -> Tensor:
    """A product of a computed matrix times a number with another one is FusedMatMul with this factor."""
    scaled, operand = (by_left, a) if by_left in m else (by_right, b)
    m.require(not any(constant(m[one]) for one in (a, b)), "an operand is constant: it can take the factor itself")
    _matrices(m)
    m.require(m.rank(scaled) == m.rank(operand), "the factor may have more dimensions than the operand")
    alpha = number(m, factor) * m.root.attrs.get("alpha", 1.0)
    return contrib(new, "FusedMatMul", m[a], m[b], **m.root.attrs | {"alpha": attribute(m, alpha, factor)})


@rule(plain * factor | fused * factor, numerics=Close(8), emits=EMITS)
def scaled_product(m: Match, new: Builder) -> Tensor:
    """A product of computed matrices times a number is FusedMatMul with this factor."""
    product: Node = plain if plain in m else fused
    m.require(not any(constant(m[one]) for one in (a, b)), "an operand is constant: it can take the factor itself")
    _matrices(m)
    m.require(m.rank(product) == m.rank(m.root.outputs[0]), "the factor may have more dimensions than the product")
    alpha = number(m, factor) * m.attr(product, "alpha", 1.0)
    return contrib(new, "FusedMatMul", m[a], m[b], **m[product].attrs | {"alpha": attribute(m, alpha, factor)})


def _matrices(m: Match) -> None:
    """Refuses operands that are not known to be matrices of floating numbers, or several such."""
    m.require(all((m.rank(one) or 0) >= MATRIX for one in (a, b)), "an operand is a vector, or of unknown rank")
    m.require(
        m.dtype(a) in FLOATS, "FusedMatMul multiplies floating numbers alone, and the dtype is another, or unknown"
    )
