"""Gemm multiplied or divided by a constant."""

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import Tensor
from passes.fuse.linear.product import attribute, columns, no_larger, scale_columns
from passes.fuse.linear.scaling import channelwise, reciprocal, rewritable, stored

a, b, bias, c = Value("a"), Value("b"), Value("bias"), Const("c")
gemm = op.Gemm(a, b, Opt(bias))
mul, div = gemm * c, gemm / c


@rule(mul | div, numerics=Close(32), opset=7)
def gemm_mul(m: Match, new: Builder) -> Tensor:
    """Gemm, alpha a b + beta bias, times c has c alpha and c beta if c is one number, else b c and bias c."""
    m.require(m.dtype(a) in FLOATS, "the numbers are not known to be floating")
    s = channelwise(m, c, 2, columns(m, gemm, b))
    s = s if mul in m else reciprocal(m, s)
    attrs = m[gemm].attrs
    if m[c].size == 1:
        number = float(m[c].reshape(-1)[0] if mul in m else 1 / m[c].reshape(-1)[0])
        attrs = attrs | {name: attribute(m, number * m.attr(gemm, name, 1.0), a) for name in ("alpha", "beta")}
        return new.Gemm(m[a], m[b], m.get(bias), **attrs)
    rewritable(m, b)
    weights = stored(m, scale_columns(m, gemm, m.array(m[b]), s), a)
    old = m.array(m[bias]) if bias in m else None
    return new.Gemm(m[a], weights, None if old is None else stored(m, no_larger(m, old * s, old, s), a), **attrs)
