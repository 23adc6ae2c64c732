"""Products with matrices in blocks, in the operators that targets have for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from graphopt.ir.dtypes import DType
from graphopt.ir.edit import UNNAMED, Rewrite
from graphopt.ir.types import Array, Constant, Tensor
from graphopt.rewrite.tape import Builder
from graphopt.target import Target
from passes.quant.linear import Linear
from passes.quant.weight_only.blocked import Blocked, Layout, packed

MICROSOFT = "com.microsoft"
BIAS = 5
"""The position of the bias among the operands of MatMulNBits."""
INTEGER_ACTIVATIONS = 4
"""MatMulNBits: compute in int8. Without this, its CPU kernel takes 13 to 26 times as long as float."""
INTEGERS = {2: np.dtype(ml_dtypes.uint2), 4: np.dtype(ml_dtypes.uint4), 8: np.dtype(np.uint8)}
SINCE = {2: 25, 4: 21, 8: 21}
"""The version of ai.onnx whose DequantizeLinear takes blocks of so many bits."""


@dataclass(frozen=True)
class Style:
    """A way to spell a product with a matrix in blocks.

    constants: the operands that stand for the matrix; products with one matrix share them.
    write: puts the drafts on the tape, and returns the product of the tensor with the matrix, plus the bias if there
        is one. bias: whether it can add one itself.
    since: the version of ai.onnx that it needs, by bits.
    """

    name: str
    constants: Callable[[Blocked, DType], tuple[Constant, ...]]
    write: Callable[[Builder, Tensor, Layout, tuple[Constant, ...], Tensor | None], Tensor]
    bias: bool
    since: dict[int, int]


def style_for(target: Target) -> Style:
    """MatMulNBits where the target runs it, else what any runtime has."""
    return NBITS if target.runs("MatMulNBits", MICROSOFT) else PORTABLE


def rewrite(
    linear: Linear, layout: Layout, constants: tuple[Constant, ...], style: Style, factors: Constant | None = None
) -> Rewrite:
    """The product, with its weight replaced; what Gemm does besides multiplying stands beside it.

    factors: what its operand is multiplied by first.
    """
    new = Builder(lambda: linear.dtype)
    bias = linear.bias() if style.bias else None
    x = linear.x if factors is None else new.Mul(linear.x, factors)
    result = style.write(new, x, layout, constants, None if bias is None else new.tensor(bias))
    summand = linear.scaled_summand(new) if bias is None else None
    if summand is not None:
        result = new.Add(result, summand)
    old = linear.node.outputs[0]
    return Rewrite(linear.graph, linear.node, linear.before, tuple(new.drafts), {old: result}, linear.reads)


def _nbits_constants(held: Blocked, dtype: DType) -> tuple[Constant, ...]:
    made: tuple[Array, ...] = (held.codes, held.scales.astype(dtype))
    if not held.format.symmetric:
        zeros = held.zeros
        missing = -zeros.shape[1] % held.format.each
        if missing:
            zeros = np.concatenate([zeros, np.zeros((zeros.shape[0], missing), np.uint8)], axis=1)
        made += (packed(zeros, held.format),)
    return tuple(Constant(UNNAMED, array) for array in made)


def _nbits(new: Builder, x: Tensor, layout: Layout, constants: tuple[Constant, ...], bias: Tensor | None) -> Tensor:
    operands: list[Tensor | None] = [x, *constants]
    if bias is not None:
        operands += [None] * (BIAS - len(operands)) + [bias]
    product: Tensor = new.node(
        "MatMulNBits", *operands, domain=MICROSOFT, K=layout.rows, N=layout.columns, bits=layout.format.bits,
        block_size=layout.format.block, accuracy_level=INTEGER_ACTIVATIONS,
    )  # fmt: skip
    return product


def _portable_constants(held: Blocked, dtype: DType) -> tuple[Constant, ...]:
    integers = INTEGERS[held.format.bits]
    made = (held.integers().astype(integers), held.scales.T.astype(dtype), held.zeros.T.astype(integers))
    return tuple(Constant(UNNAMED, np.ascontiguousarray(array)) for array in made)


def _portable(new: Builder, x: Tensor, layout: Layout, constants: tuple[Constant, ...], bias: Tensor | None) -> Tensor:
    del bias
    weight = new.DequantizeLinear(*constants, axis=0, block_size=layout.format.block)
    return new.MatMul(x, weight)


NBITS = Style("MatMulNBits", _nbits_constants, _nbits, bias=True, since={})
PORTABLE = Style("DequantizeLinear", _portable_constants, _portable, bias=False, since=SINCE)
