"""Gemm of a stack of matrices, between the Reshapes that flatten and restore the stack."""

from graphopt import Builder, Close, Match, Opt, Value, op, rule
from graphopt.ir.types import MATRIX, Tensor
from passes.fuse.linear.product import columns
from passes.fuse.linear.scaling import known

x, w, b = Value("x"), Value("w"), Value("b")
flat = op.one_of("Reshape", "Flatten")(x, Opt(Value("shape")))
gemm = op.Gemm(flat, w, Opt(b), alpha=lambda a: a in {None, 1.0}, beta=lambda a: a in {None, 1.0})
stack = op.Reshape(gemm, Value("shape"))


@rule(stack, numerics=Close(8), opset=7)
def reshaped_gemm(m: Match, new: Builder) -> Tensor:
    """MatMul multiplies a stack of matrices by itself: x w + b needs no Reshape, as long as its rows stay rows."""
    before = known(m, m.shape(x), "the shape of the stack is not known")
    after = known(m, m.shape(stack), "the shape of the result is not known")
    m.require(not m.attr(gemm, "transA", 0) and not m.attr(gemm, "transB", 0), "Gemm transposes its operands")
    m.require(len(before) > MATRIX and None not in before, "the input is not known to be a stack of matrices")
    rows = (*before[:-1], columns(m, gemm, w))
    aligned = before[-1] == (m.shape(flat) or (None,))[-1] and after == rows
    m.require(aligned, "rows of the input are not rows of the result")
    product = new.MatMul(m[x], m[w])
    if b not in m:
        return product
    bias = known(m, m.shape(b), "the shape of the bias is not known")
    m.require(all(dim == 1 for dim in bias[:-1]), "the bias differs between rows")
    return new.Add(product, m[b])
