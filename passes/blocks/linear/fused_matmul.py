"""Products of matrices with what ONNX Runtime's FusedMatMul does on the way: transposed operands, and a factor."""

from __future__ import annotations

from graphopt import Builder, Close, Const, Match, op, rule, values
from graphopt.ir.types import Tensor
from graphopt.ir.values import constant
from graphopt.rewrite.pattern import Node
from passes.blocks.contrib import contrib
from passes.fuse.guards import number
from passes.fuse.linear.product import attribute

EMITS = "com.microsoft::FusedMatMul"
MATRIX = 2

a, b = values("a b")
factor = Const("factor")
left, right = op.Transpose(a), op.Transpose(b)
own = op.domain("com.microsoft")
from_left = left @ b | own.FusedMatMul(left, b)
from_right = a @ right | own.FusedMatMul(a, right)
plain, fused = a @ b, own.FusedMatMul(a, b)


@rule(from_left | from_right, numerics=Close(4), emits=EMITS)
def transposed_operand(m: Match, new: Builder) -> Tensor:
    """A product with an operand whose last two axes are exchanged is FusedMatMul, which reads it as it lies."""
    side = "transA" if left in m else "transB"
    transposed, operand = (left, a) if left in m else (right, b)
    rank = m.rank(operand) or 0
    swapped = [*range(rank - MATRIX), rank - 1, rank - MATRIX]
    m.require(rank >= MATRIX, f"the number of dimensions of {m.tensor(operand).name} is unknown, or too small")
    m.require(m.attr(transposed, "perm", swapped if rank == MATRIX else None) == swapped, "other axes are exchanged")
    m.require(
        not any(m.root.attrs.get(name, 0) for name in (side, "transBatchA", "transBatchB")), "it is transposed twice"
    )
    m.require(all((m.rank(one) or 0) >= MATRIX for one in (a, b)), "an operand is a vector, or of unknown rank")
    return contrib(new, "FusedMatMul", m[a], m[b], **m.root.attrs | {side: 1})


@rule(plain * factor | fused * factor, numerics=Close(8), emits=EMITS)
def scaled_product(m: Match, new: Builder) -> Tensor:
    """A product of computed matrices times a number is FusedMatMul with this factor."""
    product: Node = plain if plain in m else fused
    m.require(not any(constant(m[one]) for one in (a, b)), "an operand is constant: it can take the factor itself")
    m.require(all((m.rank(one) or 0) >= MATRIX for one in (a, b)), "an operand is a vector, or of unknown rank")
    m.require(m.rank(product) == m.rank(m.root.outputs[0]), "the factor may have more dimensions than the product")
    alpha = number(m, factor) * m.attr(product, "alpha", 1.0)
    return contrib(new, "FusedMatMul", m[a], m[b], **m[product].attrs | {"alpha": attribute(m, alpha, factor)})
