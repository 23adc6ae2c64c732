"""The operands of an attention, laid out as one operator takes them, in the fewest nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from passes.attention.axes import Dimension, leaves, product
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
class Heads:
    """The axes over which there is an attention each: a batch, and heads.

    shared: heads that have keys and values of their own. layout: of keys and values; queries are flat.
    """

    batch: Dimension
    all: Dimension
    shared: Dimension
    layout: str


@dataclass(frozen=True, eq=False)
class Operands:
    """Query, key and value."""

    query: Operand
    key: Operand
    value: Operand
    heads: Heads

    @property
    def all(self) -> tuple[Operand, Operand, Operand]:
        """Query, key, value."""
        return self.query, self.key, self.value

    @property
    def moves(self) -> int:
        """How many nodes bring the operands in order; those that a tensor is split by count once."""
        made = [(one.reading.view.tensor, way) for one in self.all for way in _pieces(one.way)]
        return len({key for key in made if key[1][0] == "Split"}) + sum(way[0] != "Split" for _, way in made)

    @property
    def cost(self) -> int:
        """How many more nodes there are than before."""
        return self.moves - len({node for one in self.all for node in one.reading.nodes})


def _pieces(way: tuple[Step, ...]) -> list[tuple[str, tuple[int, ...]]]:
    """The steps; a Split without saying which piece."""
    return [(step.op, step.argument[:1] if step.op == "Split" else step.argument) for step in way]


def arrange(
    m: Match,
    views: Sequence[View],
    ends: Sequence[Dimension],
    *,
    grouped: bool = False,
    layouts: Sequence[str] = (FLAT, APART),
) -> Operands | None:
    """The cheapest way to lay out the operands of an attention; None where there is none.

    views: query, key and value. ends: the axes of queries, of their size, of keys, and of the size of values.
    grouped: whether several heads may share keys and values. layouts: those that these may have.
    """
    readings = [seen(m, view.tensor, view.dims) for view in views]
    readings[-1] = [reading for reading in readings[-1] if reading.factor == 1]
    lead = list(views[0].dims[:-2])
    found = [
        one
        for batch, heads in _divisions(lead)
        for layout in layouts
        for shared in _shared(heads, readings[1:], grouped=grouped)
        if (one := _arranged(readings, ends, Heads(batch, heads, shared, layout))) is not None
    ]
    return min(found, key=lambda one: (one.cost, one.moves), default=None)


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


def _arranged(readings: list[list[Reading]], ends: Sequence[Dimension], heads: Heads) -> Operands | None:
    """The operands in one layout."""
    rows, size, columns, width = ends
    if heads.layout == APART and length(size) != length(width):  # MultiHeadAttention takes such only flat
        return None
    wanted: list[tuple[Dimension, ...]] = [(heads.batch, rows, (*heads.all, *size))]
    for last in (size, width):
        flat, apart = (heads.batch, columns, (*heads.shared, *last)), (heads.batch, heads.shared, columns, last)
        wanted.append(flat if heads.layout == FLAT else apart)
    found: list[Operand] = []
    for seen_so, goal in zip(readings, wanted, strict=True):
        ways = [(way, one) for one in seen_so if (way := steps(one.view, goal)) is not None]
        if not ways:
            return None
        way, reading = min(reversed(ways), key=lambda pair: (len(pair[0]) - len(pair[1].nodes), len(pair[0])))
        found.append(Operand(reading, way))
    query, key, value = found
    return Operands(query, key, value, heads)


def length(axes: Dimension) -> Scalar:
    """How many elements the axes have together."""
    return product(leaves(axes))
