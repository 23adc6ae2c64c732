"""Which atoms of a group go."""

from __future__ import annotations

import numpy as np

from graphopt.ir.types import Array
from passes.prune.grouping import Grouping
from passes.prune.groups import Group
from passes.prune.sites import Ints


def lowest(group: Group, scores: Array, ratio: float, floor: int = 1, round_to: int = 1) -> Ints:
    """The atoms with the lowest scores (float [size]): so many that a share `ratio` is gone, at least `floor` stay, and
    what stays is a multiple of `round_to`, rounded up."""
    stay = max(group.size - int(group.size * ratio), floor, 1)
    stay = min(-(-stay // round_to) * round_to, group.size)
    return group.atoms[np.argsort(scores, kind="stable")[: group.size - stay]]


def emptied(grouping: Grouping, group: Group, gone: Ints) -> Ints:
    """Of the atoms that are to go, those that must not: the last ones of some axis."""
    alive = grouping.alive.copy()
    alive[gone] = False
    saved: list[int] = []
    for site in grouping.crossed(group.atoms):
        labels = grouping.atoms.of(site)
        if not alive[labels].any():
            back = int(labels[grouping.alive[labels]][-1])
            alive[back] = True
            saved.append(back)
    return np.array(saved, np.int64)
