"""MatMul with constant weights, multiplied or divided by a constant for each column."""

from graphopt import Builder, Close, Const, Match, Value, rule
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import Tensor
from passes.fuse.linear.product import columns
from passes.fuse.linear.scaling import channelwise, known, reciprocal, rewritable, stored

x, w, c = Value("x"), Const("w"), Const("c")
product = x @ w
mul, div = product * c, product / c


@rule(mul | div, numerics=Close(32), opset=7)
def matmul_mul(m: Match, new: Builder) -> Tensor:
    """(x w) c is the product of x with the weights w c, if c has one number for each column of w."""
    rewritable(m, w)
    m.require(m.dtype(w) in FLOATS, "the numbers are not known to be floating")
    m.require((m.rank(w) or 0) > 1, "the weights are a vector")
    rank = known(m, m.rank(product), "the rank of the product is not known")
    s = channelwise(m, c, rank, columns(m, product, w), rank - 1)
    return new.MatMul(m[x], stored(m, m[w] * (s if mul in m else reciprocal(m, s)), w))
