"""Reshapes as blocks: the fewest neighbouring axes that hold the same elements before and after.

Within a block the position of an element is a number written in digits, and every axis is a run of neighbouring
digits. A block can be cut along one of its digits: an index of an axis then goes with the value that this digit has in
it. (.., 768) to (.., 12, 64) has the digits 12 and 64, so either whole heads or the same places of all heads can go.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from passes.prune.sites import Ints

if TYPE_CHECKING:
    from graphopt.analysis.symbolic import Scalar
    from graphopt.ir.types import Node

Axes = tuple[int, ...]
"""Positions of neighbouring axes."""


@dataclass(frozen=True)
class Run:
    """One axis as digits: those from first to last, without last."""

    site: int
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Block:
    """One block of the Reshape `node`. digits: their sizes, the leading one first; runs: its axes on both sides."""

    node: Node
    digits: tuple[int, ...]
    runs: tuple[Run, ...]

    def plain(self, digit: int) -> list[int]:
        """The sites that are this digit and nothing else."""
        return [run.site for run in self.runs if (run.first, run.last) == (digit, digit + 1)]

    def values(self, run: Run, digit: int) -> Ints:
        """The value that the digit has at each index of the axis."""
        below = prod(self.digits[digit + 1 : run.last])
        whole = np.arange(prod(self.digits[run.first : run.last]))
        return whole // below % self.digits[digit]


def matched(before: Sequence[Scalar | None], after: Sequence[Scalar | None]) -> Iterator[tuple[Axes, Axes]]:
    """Blocks of a Reshape between these dimensions: axes before, and axes after. A block with a free size comes last,
    and has everything that could not be told apart."""
    left, right = list(range(len(before))), list(range(len(after)))
    for end in (-1, 0):
        while (block := _peel(before, left, after, right, end)) is not None:
            yield block
    if left or right:
        yield tuple(left), tuple(right)


def _peel(
    before: Sequence[Scalar | None], left: list[int], after: Sequence[Scalar | None], right: list[int], end: int
) -> tuple[Axes, Axes] | None:
    """Take the smallest block off one end of both."""
    if not left or not right:
        return None
    a, b = before[left[end]], after[right[end]]
    if a is not None and a == b and not isinstance(a, int):
        return (left.pop(end),), (right.pop(end),)
    taken_left, taken_right, a, b = 1, 1, before[left[end]], after[right[end]]
    while isinstance(a, int) and isinstance(b, int) and a != b:
        lefts, rights = (taken_left, before, left), (taken_right, after, right)
        taken, dims, axes = lefts if a < b else rights
        if taken == len(axes):
            return None
        extra = dims[axes[-1 - taken] if end else axes[taken]]
        if not isinstance(extra, int):
            return None
        if a < b:
            a, taken_left = a * extra, taken_left + 1
        else:
            b, taken_right = b * extra, taken_right + 1
    if not isinstance(a, int) or not isinstance(b, int):
        return None
    return _take(left, taken_left, end), _take(right, taken_right, end)


def _take(axes: list[int], count: int, end: int) -> Axes:
    cut = slice(len(axes) - count, None) if end else slice(count)
    taken = tuple(axes[cut])
    del axes[cut]
    return taken


def digits(sizes: Sequence[Sequence[int]]) -> list[int] | None:
    """The coarsest digits of which the axes of both sides are runs; None if there are none.

    Positions at which an axis ends, counted in elements from the end, are the products of the sizes behind them.
    """
    places = sorted({prod(side[k:]) for side in sizes for k in range(len(side) + 1)}, reverse=True)
    if any(high % low for high, low in itertools.pairwise(places)):
        return None
    return [high // low for high, low in itertools.pairwise(places)]


def runs(sizes: Sequence[int], sites: Sequence[int], split: Sequence[int]) -> list[Run]:
    """The axes of one side as runs of digits."""
    found, at = [], 0
    for size, site in zip(sizes, sites, strict=True):
        first, held = at, 1
        while held < size:
            held *= split[at]
            at += 1
        if site >= 0:
            found.append(Run(site, first, at))
    return found
