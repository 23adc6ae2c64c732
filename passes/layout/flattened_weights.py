"""A Transpose of what is then flattened and multiplied by constant weights."""

from __future__ import annotations

import math

from graphopt import Builder, Close, Const, Match, Opt, Value, op, rule
from graphopt.ir.types import MATRIX, Array, Tensor
from passes.fuse.linear.scaling import known, rewritable, stored
from passes.layout.orders import inverse

x, shape, w, b = Value("x"), Value("shape"), Const("w"), Value("b")
turned = op.Transpose(x)
flat = op.one_of("Reshape", "Flatten")(turned, Opt(shape))
product, gemm = flat @ w, op.Gemm(flat, w, Opt(b))


@rule(product | gemm, numerics=Close(32), opset=5)
def flattened_weights(m: Match, new: Builder) -> Tensor:
    """Flattening in another order is multiplying by weights whose rows are in another order."""
    dims = known(m, m.shape(x), "the shape before the Transpose is not known")
    after = known(m, m.shape(flat), "the shape of what is multiplied is not known")
    perm = tuple(m.attr(turned, "perm") or range(len(dims))[::-1])
    m.require(perm[:1] == (0,) and len(after) == MATRIX, "it does not keep the first axis and flatten the others")
    lengths = [dim for dim in dims[1:] if isinstance(dim, int)]
    whole = len(lengths) == len(dims) - 1 and after[0] == dims[0] and after[1] == math.prod(lengths)
    m.require(whole, "the rows that are flattened are not known to be whole")
    rewritable(m, w)
    m.require(m.rank(w) == MATRIX and not m.attr(gemm if gemm in m else product, "transA", 0), "no matrix of weights")
    columns = gemm in m and m.attr(gemm, "transB", 0)
    rows = _rows(m[w].T if columns else m[w], [axis - 1 for axis in perm[1:]], lengths)
    weights = stored(m, rows.T if columns else rows, w)
    made = new.node(m[flat].op, m[x], m.get(shape), **m[flat].attrs)
    if product in m:
        return new.MatMul(made, weights)
    return new.Gemm(made, weights, m.get(b), **m[gemm].attrs)


def _rows(weights: Array, perm: list[int], lengths: list[int]) -> Array:
    """The rows, which lie in the order of the turned axes, in the order in which the axes were."""
    split = weights.reshape(*(lengths[axis] for axis in perm), -1)
    back: Array = split.transpose(*inverse(perm), len(perm)).reshape(weights.shape)
    return back
