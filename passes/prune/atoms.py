"""From ties to atoms: classes of sites, the digits along which Reshapes are cut, classes of indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from passes.prune.digits import Block, Run
from passes.prune.sites import Ints, Sites, components, pairs
from passes.prune.ties import Ties


@dataclass(frozen=True, eq=False)
class Atoms:
    """classes: of each site, the first site that has the same indices. starts: of each site that is such a first one,
    where its indices begin in `labels`; labels: the atom of every index. pinned: the atoms that stay, with the first
    pin that says so, as its number in `sites.pins`. averaged: atoms over which something is averaged, so that what is
    left changes when one goes."""

    sites: Sites
    classes: Ints
    starts: Ints
    labels: Ints
    pinned: dict[int, int]
    averaged: frozenset[int]

    def of(self, site: int) -> Ints:
        """The atom at each index of a site."""
        start = self.starts[self.classes[site]]
        return self.labels[start : start + self.sites.sizes[site]]


def atoms(ties: Ties, *, averaged: bool = False) -> Atoms:
    """The classes of indices that live and die together, in time that grows with their number.

    averaged: whether atoms may go over which something is averaged.
    """
    sites = ties.sites
    _choose(ties, averaged=averaged)
    count = len(sites.sizes)
    classes = components(count, *pairs(sites.same))
    sizes = np.array(sites.sizes, np.int64)
    firsts = np.flatnonzero(classes == np.arange(count))
    starts = np.full(count, -1)
    starts[firsts] = np.cumsum(sizes[firsts]) - sizes[firsts]
    at = starts[classes]
    left = [at[a] + index for a, index, _, _ in sites.indexed]
    right = [at[b] + index for _, _, b, index in sites.indexed]
    none = [np.zeros(0, np.int64)]
    labels = components(int(sizes[firsts].sum()), np.concatenate(left or none), np.concatenate(right or none))
    hard, soft = (_pinned(sites, labels, at, soft=soft) for soft in (False, True))
    return Atoms(sites, classes, starts, labels, hard if averaged else {**soft, **hard}, frozenset(soft))


def _pinned(sites: Sites, labels: Ints, at: Ints, *, soft: bool) -> dict[int, int]:
    """The atoms on pinned indices, each with the first pin that says so."""
    found: dict[int, int] = {}
    seen: set[int] = set()
    for number, (site, index, _, is_soft) in enumerate(sites.pins):
        start, size = int(at[site]), sites.sizes[site]
        if is_soft != soft or (index is None and start in seen):
            continue
        if index is None:
            seen.add(start)
        held = labels[start : start + size] if index is None else labels[start + index]
        for atom in held.tolist():
            found.setdefault(atom, number)
    return found


class _Classes:
    """Classes of sites with equal indices, and which of them stay or had better stay."""

    def __init__(self, sites: Sites, *, averaged: bool) -> None:
        count = len(sites.sizes)
        self.of = components(count, *pairs(sites.same))
        self.pinned, self.avoided = np.zeros(count, bool), np.zeros(count, bool)
        self.avoided[self.of[sites.avoided]] = True
        for site, index, _, soft in sites.pins:
            if not (soft and averaged):
                marks = self.pinned if index is None else self.avoided
                marks[self.of[site]] = True

    def pin(self, site: int) -> None:
        self.pinned[self.of[site]] = True

    def best(self, block: Block, own: Sequence[int]) -> int:
        """The digit along which a block is cut: the largest that nothing pins, of equal ones the leading one; -1 if all
        are pinned."""
        on = [[run.site for run in block.runs if run.first <= digit < run.last] for digit in range(len(own))]
        free = [digit for digit, site in enumerate(own) if not self.pinned[self.of[[site, *on[digit]]]].any()]
        return max(
            free, key=lambda digit: (not self.avoided[self.of[own[digit]]], block.digits[digit], -digit), default=-1
        )


def _choose(ties: Ties, *, averaged: bool) -> None:
    """Say of each Reshape that merges or splits axes along which digit it is cut. All its other axes stay."""
    sites = ties.sites
    if not ties.blocks:
        return
    inner = {block: [sites.inner(block.node, size) for size in block.digits] for block in ties.blocks}
    for block, own in inner.items():
        for digit, site in enumerate(own):
            for plain in block.plain(digit):
                sites.tie(site, plain)
    classes = _Classes(sites, averaged=averaged)
    for block, own in inner.items():
        chosen = classes.best(block, own)
        for run in block.runs:
            if not run.first <= chosen < run.last:
                sites.pin(run.site, _reason(block, chosen))
                classes.pin(run.site)
            elif run.last - run.first > 1:
                _tie(ties, block, run, chosen, own[chosen])


def _tie(ties: Ties, block: Block, run: Run, digit: int, own: int) -> None:
    values = block.values(run, digit)
    ties.sites.tie_at(run.site, np.arange(len(values)), own, values)


def _reason(block: Block, chosen: int) -> str:
    if chosen < 0:
        return f"{block.node.op} merges or splits it, and every axis that this could follow is pinned"
    return f"{block.node.op} merges or splits it, which is cut along another axis (of size {block.digits[chosen]})"
