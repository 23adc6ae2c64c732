"""How much an atom matters: scores of the atoms of a group, the lowest of which go first."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from graphopt.errors import UsageError
from graphopt.ir.types import Array
from passes.prune.grouping import Grouping
from passes.prune.groups import Group, Member
from passes.prune.recover.reconstruction import System, ranked


def l2(grouping: Grouping, group: Group) -> Array:
    """The Euclidean norm of the weights that make each atom (float64 [size]), each weight's mean square being one.

    Li et al., Pruning Filters for Efficient ConvNets, 2017.
    """
    return np.sqrt(_sums(grouping, group, group.producers, np.square))


def l1(grouping: Grouping, group: Group) -> Array:
    """The sum of the absolute weights that make each atom, each weight's mean being one. Li et al., 2017."""
    return _sums(grouping, group, group.producers, np.abs)


def bn(grouping: Grouping, group: Group) -> Array:
    """The absolute scale of the BatchNormalization that an atom goes through. Liu et al., Network Slimming, 2017.

    Raises UsageError where there is none.
    """
    scales = [member for member in group.followers if member.user.op == "BatchNormalization" and member.position == 1]
    if not scales:
        raise UsageError(
            f"prune: importance=bn needs a BatchNormalization in every group, and {group.name} has none (fuse folds "
            "them: prune first, or take importance=l2)"
        )
    return _sums(grouping, group, scales, np.abs)


def chance(grouping: Grouping, group: Group, seed: int) -> Array:
    """Numbers drawn at random, by the seed and the group's name: what other methods have to beat."""
    del grouping
    return np.random.default_rng((seed, zlib.crc32(group.name.encode()))).random(group.size)


def activation(group: Group, held: Sequence[System]) -> Array:
    """Root mean square of what is read of an atom, times the absolute weights that read it.

    Sun et al., A Simple and Effective Pruning Approach for Large Language Models, 2023.
    """
    total = np.zeros(group.size)
    for system in held:
        power = np.sqrt(np.diagonal(system.second) / system.second[-1, -1]) * np.abs(system.weights).sum(axis=1)
        inside = system.labels >= 0
        scores = np.zeros(group.size)
        np.add.at(scores, np.searchsorted(group.atoms, system.labels[inside]), power[inside])
        total += _normal(scores)
    return total


def obs(group: Group, held: Sequence[System]) -> Array:
    """The places of the atoms in the order in which they are missed least; see `reconstruction.ranked`."""
    scores = np.empty(group.size)
    scores[np.searchsorted(group.atoms, ranked(group, held))] = np.arange(1, group.size + 1)
    return scores


FROM_WEIGHTS: dict[str, Callable[[Grouping, Group], Array]] = {"l1": l1, "l2": l2, "bn": bn}
FROM_SAMPLES: dict[str, Callable[[Group, Sequence[System]], Array]] = {"activation": activation, "obs": obs}
SAMPLED = (*FROM_SAMPLES, "taylor")
"""Those that need samples; `taylor` rates all groups at once, in a module of its own."""


def scores(name: str, grouping: Grouping, group: Group, held: Sequence[System] | None, seed: int) -> Array:
    """The scores (float64 [size]) of a group's atoms by one of the methods; by `l2` where a layer is none that the
    methods which look at samples understand (`held` is None). Raises UsageError where it does not apply."""
    if name == "random":
        return chance(grouping, group, seed)
    if name in FROM_SAMPLES and held is not None:
        return FROM_SAMPLES[name](group, held)
    return FROM_WEIGHTS.get(name, l2)(grouping, group)


def _sums(grouping: Grouping, group: Group, members: Iterable[Member], of: Callable[[Array], Array]) -> Array:
    """Sums over each atom's weights, in units of their mean."""
    total = np.zeros(group.size)
    for member in members:
        values = of(grouping.values(member.node, member.position).astype(np.float64))
        power = values.sum(axis=tuple(axis for axis in range(values.ndim) if axis != member.axis))
        power /= max(float(power.mean()), np.finfo(np.float64).tiny)
        labels = grouping.labels(member.tensor, member.axis)
        today = member.labels if labels is None else member.labels[grouping.alive[labels]]
        inside = today >= 0
        np.add.at(total, np.searchsorted(group.atoms, today[inside]), power[inside])
    return total


def _normal(values: Array) -> Array:
    return values / max(float(values.mean()), np.finfo(np.float64).tiny)
