"""Which atoms of a group must not go."""

from __future__ import annotations

import numpy as np

from passes.prune.grouping import Grouping
from passes.prune.groups import Group
from passes.prune.sites import Ints


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
