"""How much an atom matters, from what the file says."""

from __future__ import annotations

import numpy as np

from graphopt.ir.types import Array
from passes.prune.grouping import Grouping
from passes.prune.groups import Group


def l2(grouping: Grouping, group: Group) -> Array:
    """The Euclidean norm of the weights that make each atom (float64 [size]), each weight's mean square being one.

    Li et al., Pruning Filters for Efficient ConvNets, 2017.
    """
    total = np.zeros(group.size)
    for member in group.producers:
        values = grouping.values(member.node, member.position).astype(np.float64)
        power = np.square(values).sum(axis=tuple(axis for axis in range(values.ndim) if axis != member.axis))
        power /= max(float(power.mean()), np.finfo(np.float64).tiny)
        inside = member.labels >= 0
        np.add.at(total, np.searchsorted(group.atoms, member.labels[inside]), power[inside])
    return np.sqrt(total)
