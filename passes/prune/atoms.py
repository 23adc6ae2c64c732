"""From ties to atoms: classes of sites, the digits along which Reshapes are cut, classes of indices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passes.prune.reshape import Block, Run
from passes.prune.sites import Ints, Sites, components, pairs
from passes.prune.ties import Ties


@dataclass(frozen=True, eq=False)
class Atoms:
    """classes: of each site, the first site that has the same indices. starts: of each site that is such a first one,
    where its indices begin in `labels`; labels: the atom of every index. pinned: the atoms that stay, with the first
    pin that says so, as its number in `sites.pins`."""

    sites: Sites
    classes: Ints
    starts: Ints
    labels: Ints
    pinned: dict[int, int]

    def of(self, site: int) -> Ints:
        """The atom at each index of a site."""
        start = self.starts[self.classes[site]]
        return self.labels[start : start + self.sites.sizes[site]]


def atoms(ties: Ties) -> Atoms:
    """The classes of indices that live and die together, in time that grows with their number."""
    sites = ties.sites
    _choose(ties)
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
    pinned: dict[int, int] = {}
    seen: set[int] = set()
    for number, (site, index, _) in enumerate(sites.pins):
        start, size = int(at[site]), sites.sizes[site]
        if index is None:
            if start in seen:
                continue
            seen.add(start)
        held = labels[start : start + size] if index is None else labels[start + index]
        for atom in held.tolist():
            pinned.setdefault(atom, number)
    return Atoms(sites, classes, starts, labels, pinned)


class _Classes:
    """Sites joined one by one, with whether each class is pinned."""

    def __init__(self, sites: Sites) -> None:
        count = len(sites.sizes)
        self.parent = components(count, *pairs(sites.same)).tolist()
        self.pinned = [False] * count
        for site, index, _ in sites.pins:
            if index is None:
                self.pinned[self.parent[site]] = True

    def find(self, site: int) -> int:
        while self.parent[site] != site:
            self.parent[site] = self.parent[self.parent[site]]
            site = self.parent[site]
        return site

    def stays(self, site: int) -> bool:
        return self.pinned[self.find(site)]

    def pin(self, site: int) -> None:
        self.pinned[self.find(site)] = True


def _choose(ties: Ties) -> None:
    """Say of each Reshape that merges or splits axes along which digit it is cut: the largest one that nothing pins,
    of equal ones the leading one. All its other axes stay."""
    sites = ties.sites
    if not ties.blocks:
        return
    inner = {block: [sites.inner(block.node, size) for size in block.digits] for block in ties.blocks}
    for block, own in inner.items():
        for digit, site in enumerate(own):
            for plain in block.plain(digit):
                sites.tie(site, plain)
    classes = _Classes(sites)
    for block, own in inner.items():
        free = [digit for digit, site in enumerate(own) if not _stays(classes, block, digit, site)]
        chosen = max(free, key=lambda digit: (block.digits[digit], -digit), default=-1)
        for run in block.runs:
            if run.first <= chosen < run.last:
                if run.last - run.first > 1:
                    _tie(ties, block, run, chosen, own[chosen])
            else:
                sites.pin(run.site, _reason(block, chosen))
                classes.pin(run.site)


def _stays(classes: _Classes, block: Block, digit: int, site: int) -> bool:
    return classes.stays(site) or any(classes.stays(run.site) for run in block.runs if run.first <= digit < run.last)


def _tie(ties: Ties, block: Block, run: Run, digit: int, own: int) -> None:
    values = block.values(run, digit)
    ties.sites.tie_at(run.site, np.arange(len(values)), own, values)


def _reason(block: Block, chosen: int) -> str:
    if chosen < 0:
        return f"{block.node.op} merges or splits it, and every axis that this could follow is pinned"
    return f"{block.node.op} merges or splits it, which is cut along another axis (of size {block.digits[chosen]})"
