"""Poolings and reductions over windows of one element."""

from __future__ import annotations

from graphopt import Builder, Close, Match, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import same_shape, take

x, rest = Value("x"), Rest("axes")
pool = op.one_of("AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool")(x)
reduction = op.one_of("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd")(x, rest)


@rule(pool, numerics=Close(0))
def unit_pool(m: Match, _: Builder) -> Tensor:
    """The average or the largest of one element is that element, -0.0 maybe 0.0."""
    kernel, pads = m.attr(pool, "kernel_shape", []), m.attr(pool, "pads", [])
    m.require(all(size == 1 for size in kernel) and not any(pads), "its window has several elements")
    m.require(same_shape(m, x, pool), "the shape changes, or is unknown")
    used = [tensor for tensor in m[pool].outputs[1:] if tensor.outputs or m.is_output(tensor)]
    m.require(not used, "its indices are used")
    return take(m, x)


@rule(reduction, numerics=Close(0))
def unit_reduction(m: Match, _: Builder) -> Tensor:
    """A sum, mean, product, largest or smallest over axes of length 1 that are kept is its input, -0.0 maybe 0.0."""
    m.require(same_shape(m, x, reduction), "the shape changes, or is unknown")
    return take(m, x)
