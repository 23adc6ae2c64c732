"""An algebra of axes: which axes of an attention lie in which dimension of a tensor, in which order.

Attention has axes: batch, heads, queries, keys, sizes of heads. Exporters split, merge, permute, repeat and cut out
dimensions on the way from a projection to a product of matrices. A `View` says the same without the way: dimension by
dimension, the axes that it consists of. Reading a tensor backwards turns its view into that of what it was made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from graphopt.analysis.symbolic import Expression, divide

if TYPE_CHECKING:
    from graphopt.analysis.symbolic import Scalar
    from graphopt.ir.types import Tensor


class Axis:
    """One axis, told from others by identity. size: its length, an integer or a polynomial of free dimensions.

    parts: the axes that it turned out to consist of, outermost first. index: the only index of it that is meant.
    """

    def __init__(self, size: Scalar, index: int | None = None) -> None:
        self.size, self.index = size, index
        self.parts: tuple[Axis, ...] = ()

    def split(self, outer: Scalar) -> bool:
        """Take the axis for two, the outer one of that size; whether that is possible."""
        inner = quotient(self.size, outer)
        if inner is None or self.index is not None:
            return False
        self.parts = (Axis(outer), Axis(inner))
        return True

    def __repr__(self) -> str:
        return f"{self.size}" if self.index is None else f"{self.size}[{self.index}]"


Dimension = tuple[Axis, ...]


@dataclass(frozen=True, eq=False)
class View:
    """A tensor, and for each of its dimensions the axes that it consists of, the slowest first; none for length 1."""

    tensor: Tensor
    dims: tuple[Dimension, ...]

    @property
    def leaves(self) -> tuple[Dimension, ...]:
        """The dimensions, by axes that are not known to consist of others."""
        return tuple(leaves(dim) for dim in self.dims)


def leaves(axes: Iterable[Axis]) -> Dimension:
    """The axes, those that consist of others replaced by these; axes of length 1 that stand for themselves left out."""
    found: list[Axis] = []
    for axis in axes:
        found += leaves(axis.parts) if axis.parts else [axis]
    return tuple(axis for axis in found if axis.size != 1)


def quotient(whole: Scalar, part: Scalar) -> Scalar | None:
    """`whole` divided by `part` where that is an integer, or a polynomial with integer coefficients; else None."""
    found = divide(whole, part)
    if found is None or isinstance(found, Fraction):
        return None
    if isinstance(found, Expression) and any(isinstance(c, Fraction) for _, c in found.terms):
        return None
    return found


def product(axes: Iterable[Axis]) -> Scalar:
    """How many elements the axes have together."""
    total: Scalar = 1
    for axis in axes:
        total = axis.size * total
    return total


def regroup(dims: Sequence[Dimension], old: Sequence[Scalar], new: Sequence[Scalar]) -> tuple[Dimension, ...] | None:
    """The axes of dimensions of sizes `new` that hold, in the same order, the elements of `dims`, of sizes `old`.

    Axes are split where that is needed. None where the sizes do not tell.
    """
    given = list(zip(dims, old, strict=True))
    rest: list[Axis] = [axis for dim, _ in given for axis in leaves(dim)]
    if product(rest) != product(map(Axis, new)):
        return None
    made: list[Dimension] = []
    for size in new:
        taken: list[Axis] = []
        left = size
        while left != 1:
            axis = rest.pop(0) if rest else None
            if axis is None:
                return None
            if (after := quotient(left, axis.size)) is not None:
                taken.append(axis)
                left = after
            elif axis.split(left):
                taken.append(axis.parts[0])
                rest.insert(0, axis.parts[1])
                left = 1
            else:
                return None
        made.append(tuple(taken))
    return tuple(made) if not rest else None
