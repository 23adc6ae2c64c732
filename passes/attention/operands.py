"""The operands of an attention, laid out as one operator takes them, in the fewest nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from passes.attention.axes import Axis, Dimension, leaves, product
from passes.attention.layout import Step, steps
from passes.attention.reading import Reading, seen

if TYPE_CHECKING:
    from graphopt.analysis.symbolic import Scalar
    from graphopt.rewrite import Match
    from passes.attention.axes import View

FLAT = "flat"
"""(batch, sequence, heads * size)"""
APART = "apart"
"""(batch, heads, sequence, size)"""


@dataclass(frozen=True, eq=False)
class Operand:
    """One operand: where it is read from, and what brings it into its layout."""

    reading: Reading
    way: tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class Operands:
    """Query, key and value; `batch` and `heads` are the axes over which there is an attention each.

    layout: of keys and values; queries are flat. shared: heads that have keys and values of their own.
    """

    query: Operand
    key: Operand
    value: Operand
    batch: Dimension
    heads: Dimension
    shared: Dimension
    layout: str

    @property
    def all(self) -> tuple[Operand, Operand, Operand]:
        """Query, key, value."""
        return self.query, self.key, self.value

    @property
    def cost(self) -> int:
        """How many nodes it takes."""
        return sum(len(operand.way) for operand in self.all)


def arrange(m: Match, query: View, key: View, value: View, *, grouped: bool) -> Operands | None:
    """The cheapest way to lay out the operands of an attention; None where there is none.

    grouped: whether several heads may share keys and values.
    """
    readings = [seen(m, view.tensor, view.dims) for view in (query, key, value)]
    lead = [dim for dim in query.dims[:-2]]
    found = [
        one
        for batch, heads in _divisions(lead)
        for layout in (FLAT, APART)
        for shared in _shared(heads, readings[1:], grouped=grouped)
        if (one := _arranged(readings, query, key, value, batch, heads, shared, layout)) is not None
    ]
    return min(found, key=lambda one: one.cost, default=None)


def _divisions(lead: Sequence[Dimension]) -> Iterator[tuple[Dimension, Dimension]]:
    """Which leading axes may be the batch, and which heads: the last dimension, or any part of the only one."""
    if len(lead) > 1:
        yield leaves(axis for dim in lead[:-1] for axis in dim), leaves(lead[-1])
        return
    axes = leaves(axis for dim in lead for axis in dim)
    for at in range(len(axes), -1, -1):
        yield axes[:at], axes[at:]


def _shared(heads: Dimension, readings: Sequence[list[Reading]], *, grouped: bool) -> Iterator[Dimension]:
    """Which axes of the heads keys and values have: all, or, where they may be shared, those before a repetition."""
    yield heads
    if grouped:
        there = {axis for reading in readings for dim in reading[-1].view.leaves for axis in dim}
        fewer = tuple(axis for axis in heads if axis in there)
        if fewer != heads and fewer == heads[: len(fewer)]:
            yield fewer


def _arranged(
    readings: list[list[Reading]],
    query: View,
    key: View,
    value: View,
    batch: Dimension,
    heads: Dimension,
    shared: Dimension,
    layout: str,
) -> Operands | None:
    rows, size = query.dims[-2:]
    columns, width = value.dims[-2:]
    wanted = [(batch, rows, (*heads, *size))]
    for last in (size, width):
        flat, apart = (batch, columns, (*shared, *last)), (batch, shared, columns, last)
        wanted.append(flat if layout == FLAT else apart)
    operands = []
    for found, goal in zip(readings, wanted, strict=True):
        factors = found if len(operands) < 2 else [one for one in found if one.factor == 1]
        ways = [(way, one) for one in factors if (way := steps(one.view, goal)) is not None]
        if not ways:
            return None
        way, reading = min(reversed(ways), key=lambda pair: len(pair[0]))
        operands.append(Operand(reading, way))
    return Operands(*operands, batch, heads, shared, layout)


def length(axes: Dimension) -> Scalar:
    """How many elements the axes have together."""
    return product(leaves(axes))
