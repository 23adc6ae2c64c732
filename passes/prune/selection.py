"""Which atoms of a group go."""

from __future__ import annotations

import numpy as np

from graphopt.ir.types import Array
from passes.prune.grouping import Grouping
from passes.prune.groups import Group
from passes.prune.sites import Ints


def lowest(grouping: Grouping, group: Group, scores: Array, ratio: float, floor: int = 1, round_to: int = 1) -> Ints:
    """The atoms with the lowest scores (float [size], in the order of `group.atoms`).

    A share `ratio` goes, but `floor` stay at least, what stays is a multiple of `round_to`, rounded up, and no axis
    loses its last index.
    """
    stay = max(group.size - int(group.size * ratio), floor, 1)
    stay = min(-(-stay // round_to) * round_to, group.size)
    order = group.atoms[np.argsort(scores, kind="stable")]
    saved = emptied(grouping, group, order[: group.size - stay])
    order = order[~np.isin(order, saved)]
    return order[: group.size - max(stay, len(saved))]


def emptied(grouping: Grouping, group: Group, gone: Ints) -> Ints:
    """Of the atoms that are to go, some that must not, lest an axis is left without any: the last one of each."""
    alive = grouping.alive.copy()
    alive[gone] = False
    last = np.full(len(alive), -1)
    last[gone] = np.arange(len(gone))
    saved: list[int] = []
    for site in grouping.crossed(group.atoms):
        labels = grouping.atoms.of(site)
        if not alive[labels].any():
            there = labels[grouping.alive[labels]]
            back = int(there[np.argmax(last[there])])
            alive[back] = True
            saved.append(back)
    return np.array(saved, np.int64)
