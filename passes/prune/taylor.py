"""How much the network's answers depend on each atom: what its gradients say of the weights that read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from graphopt.data.source import Data
from graphopt.extras import need
from graphopt.ir.types import Array, Constant
from passes.prune.grouping import Grouping
from passes.prune.groups import Group, Member
from passes.prune.leaf import leaf


def needed() -> None:
    """Raises UsageError, with what to type, if what computes gradients is not installed."""
    need("torch", "prune: importance=taylor", "torch")


def taylor(grouping: Grouping, groups: Sequence[Group], data: Data, *, samples: int, seed: int) -> dict[Group, Array]:
    """By how much the log-likelihood changes, to first order, if the weights that read an atom are zeroed: the square,
    in the mean over batches of the samples (float64 [size] for each group).

    That likelihood is of the labels or, without any, of answers drawn from what the model gives. Raises UsageError for
    a model without scores of classes, or with operators through which no gradients go back.
    Molchanov et al., Importance Estimation for Neural Network Pruning, 2019.
    """
    needed()
    from passes.distill.gradients import gradients

    totals = {group: np.zeros(group.size) for group in groups}
    for found in gradients(grouping.model, data, samples=samples, seed=seed):
        for group in groups:
            totals[group] += np.square(sum(_change(group, member, found) for member in group.consumers))
    return totals


def _change(group: Group, member: Member, found: Mapping[Constant, Array]) -> Array:
    """What one reader of a group adds to the change of each atom."""
    total = np.zeros(group.size)
    constant = leaf(member.node.inputs[member.position])
    if constant is None or constant not in found:
        return total
    slope = found[constant]
    others = tuple(axis for axis in range(slope.ndim) if axis != member.axis)
    products = (slope.astype(np.float64) * constant.values).sum(axis=others)
    inside = member.labels >= 0
    np.add.at(total, np.searchsorted(group.atoms, member.labels[inside]), products[inside])
    return total
