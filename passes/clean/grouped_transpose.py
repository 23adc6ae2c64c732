"""A Transpose between two Reshapes that merge axes and split them again."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.analysis.operators.layout import product
from graphopt.analysis.types import Known, all_known
from graphopt.ir.types import Tensor

x, merged, split = Value("x"), Value("merged"), Value("split")
merge = op.Reshape(x, merged)
transpose = op.Transpose(merge)
outer = op.Reshape(transpose, split)


def groups(dims: Known, merged_dims: Known) -> list[list[int]] | None:
    """The runs of axes whose lengths multiply to the merged lengths, in order; None if there are no such runs."""
    found: list[list[int]] = []
    axis = 0
    for length in merged_dims:
        run = [axis]
        while axis < len(dims) and product(dims[at] for at in run) != length:
            axis += 1
            run.append(axis)
        if axis >= len(dims):
            return None
        found.append(run)
        axis += 1
    if found:
        found[-1] += range(axis, len(dims))
    return found


@rule(outer, numerics=Exact(), opset=5)
def grouped_transpose(m: Match, new: Builder) -> Tensor:
    """If the second Reshape splits just what the first merged, all three are one Transpose."""
    source, between, result = (all_known(m.shapes.dims(m.tensor(part))) for part in (x, merge, outer))
    if source is None or between is None or result is None:
        m.refuse("a shape is unknown")
    runs = groups(source, between)
    if runs is None:
        m.refuse("the first Reshape does more than merge neighbouring axes")
    perm = [axis for run in m.attr(transpose, "perm") or range(len(between))[::-1] for axis in runs[run]]
    m.require(tuple(source[axis] for axis in perm) == result, "the second Reshape splits in another way")
    return new.Transpose(m[x], perm=perm)
