"""Gemm plus or minus a further summand."""

from graphopt import Builder, Close, Const, Match, Value, op, rule
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import Tensor
from passes.fuse.linear.product import addable, no_larger
from passes.fuse.linear.scaling import stored

a, b, bias, c, k = Value("a"), Value("b"), Const("bias"), Value("c"), Const("k")
bare, biased = op.Gemm(a, b), op.Gemm(a, b, bias)


@rule(bare + c | bare - k | biased + k | biased - k, numerics=Close(16), opset=7)
def gemm_add(m: Match, new: Builder) -> Tensor:
    """Gemm, alpha a b + beta bias, plus k is Gemm with the bias beta bias + k."""
    m.require(m.dtype(a) in FLOATS, "the numbers are not known to be floating")
    gemm, other = (bare if bare in m else biased), (c if c in m else k)
    addable(m, gemm, other)
    if c in m:
        return new.Gemm(m[a], m[b], m[c], **m[gemm].attrs | {"beta": None})
    held = m.attr(gemm, "beta", 1.0) * m.get(bias, 0.0)
    total = held + m[k] if m.root.op == "Add" else held - m[k]
    return new.Gemm(m[a], m[b], stored(m, no_larger(m, total, held, m[k]), a), **m[gemm].attrs | {"beta": None})
