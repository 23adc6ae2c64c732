"""What a network loses as a group gets smaller: measured at its outputs, one group at a time.

Each group is taken down in steps, its readers making up for what is gone in closed form, and the whole network runs on
samples that they were not fitted to. The loss is the mean square of the change of the outputs, in units of their
variance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.ir.types import Array, Node
from passes.prune.cut import masked
from passes.prune.grouping import Grouping
from passes.prune.groups import Group
from passes.prune.recover.layers import Layer, layer_of
from passes.prune.recover.program import Part, Program
from passes.prune.recover.reconstruction import System, refitted, second_moments, systems
from passes.prune.recover.squares import RIDGES, TINY

SHARES = (0.0625, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
"""Of a group's atoms, but for one, that are gone in the steps of its curve."""
ENOUGH = 0.5
"""The loss at which a curve ends: nobody wants more."""
LOOKED = (32, 192)
"""Samples on which losses are measured, at least and at most."""
STRENGTHS = (*RIDGES[1:], np.inf)
"""Ridges with which readers make up for what is gone; with the last they do not."""
WORK = 1e12
"""Multiply-adds that all of it may take, as long as so few samples allow it."""
AT_ONCE = 1 << 28
"""Bytes of second moments that are held at once, if that is at least one layer."""


@dataclass(frozen=True)
class Curve:
    """How a group is taken down. order: its atoms, the one that goes first first. gone, losses: measured."""

    group: Group
    order: Array
    gone: tuple[int, ...]
    losses: tuple[float, ...]

    def loss(self, gone: Array) -> Array:
        """The loss for numbers of atoms that are gone; infinite beyond what was measured."""
        rising = np.maximum.accumulate(self.losses)
        return np.interp(gone, self.gone, rising, right=np.inf)


def from_scores(group: Group, scores: Array) -> Curve:
    """A curve that nobody measured: the share of the squared scores of a group that is gone."""
    order = np.argsort(scores, kind="stable")
    gone = np.cumsum(np.square(scores[order])) / max(float(np.square(scores).sum()), TINY)
    return Curve(group, group.atoms[order], tuple(range(group.size)), (0.0, *gone[:-1].tolist()))


Moments = Mapping[Node, tuple[Layer, Array]]


@dataclass(frozen=True)
class Seen:
    """A group with what is known of it from samples. held: its readers; None if some are not understood."""

    group: Group
    held: list[System] | None
    moments: Moments


def seen(program: Program, groups: Sequence[Group], feeds: Part, seed: int) -> Iterator[Seen]:
    """Groups with the moments of what reads them, in their order: a pass over the samples for as many as fit."""
    for batch in _batches(groups):
        moments = _moments(program, batch, feeds, seed)
        for group in batch:
            yield Seen(group, systems(group, moments), moments)


def curve(grouping: Grouping, known: Seen, order: Array, judge: Outputs, *, refit: bool) -> Curve:
    """How the network's loss rises as atoms of a group go in this order. refit: whether its readers make up for them,
    with a ridge that gets stronger where that helps."""
    group, held = known.group, known.held
    strengths = STRENGTHS if refit and held is not None else STRENGTHS[-1:]

    def loss(count: int, ridge: float) -> float:
        removed = order[:count]
        if held is None or np.isinf(ridge):
            return judge.loss(_masks(grouping, group, removed))
        return judge.loss(_refits(group, held, known.moments, removed, ridge))

    gone, losses, level = [0], [0.0], 0
    for count in sorted({max(1, round(share * (group.size - 1))) for share in SHARES} if group.size > 1 else ()):
        least = loss(count, strengths[level])
        while level + 1 < len(strengths) and (other := loss(count, strengths[level + 1])) < least:
            level, least = level + 1, other
        gone.append(count)
        losses.append(least)
        if losses[-1] > ENOUGH:
            break
    return Curve(group, order, tuple(gone), tuple(losses))


def _masks(grouping: Grouping, group: Group, gone: Array) -> dict[str, Array]:
    """The consumers of a group with zeros for some atoms, by name."""
    after, _ = masked(grouping, group, gone)
    return {node.inputs[place].name: array for node, values in after.items() for place, array in values.items()}


def _refits(group: Group, held: Sequence[System], moments: Moments, gone: Array, ridge: float) -> dict[str, Array]:
    """The consumers of a group refitted without some atoms, by name."""
    changed: dict[str, Array] = {}
    start = 0
    for member in group.consumers:
        layer, _ = moments[member.user]
        parts = [refitted(system, gone, ridge) for system in held[start : start + layer.groups]]
        start += layer.groups
        matrix, weights = np.stack(parts), layer.weight.values
        changed[layer.weight.tensor.name] = layer.weights(matrix[:, :-1], weights.shape).astype(np.float32)
        if layer.bias:
            bias = layer.bias.values + matrix[:, -1].reshape(-1)
            changed[layer.bias.tensor.name] = bias.astype(np.float32)
    return changed


def _batches(groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Groups whose readers' moments fit into memory together."""
    batch: list[Group] = []
    size = 0
    for group in groups:
        own = sum(_bytes(member.constant.shape, member.axis) for member in group.consumers)
        if batch and size + own > AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(group)
        size += own
    if batch:
        yield batch


def _bytes(shape: tuple[int, ...], axis: int) -> int:
    inputs = shape[axis] * int(np.prod(shape[2:]))
    return 8 * (inputs + 1) ** 2


def _moments(program: Program, groups: Sequence[Group], feeds: Part, seed: int) -> dict[Node, tuple[Layer, Array]]:
    readers = dict.fromkeys(member.user for group in groups for member in group.consumers)
    found = [layer for node in readers if (layer := layer_of(node)) is not None]
    return {
        layer.node: (layer, moments)
        for layer, moments in zip(found, second_moments(program, found, feeds, seed), strict=True)
    }


class Outputs:
    """What a network gives on samples, and how far it is from that with other weights."""

    def __init__(self, program: Program, feeds: Part) -> None:
        self.program, self.feeds = program, feeds
        with program.session(program.outputs) as session:
            self.given = [_floats(session.run(feed)) for feed in feeds]
        names = list(self.given[0])
        joined = {name: np.concatenate([given[name].reshape(-1) for given in self.given]) for name in names}
        self.powers = {name: max(float(array.var()), TINY) for name, array in joined.items()}

    def loss(self, weights: Mapping[str, Array], program: Program | None = None) -> float:
        """The mean square of the change, in units of the variance; of several outputs the mean. program: another
        network with the same outputs, to be compared."""
        total = dict.fromkeys(self.powers, 0.0)
        count = dict.fromkeys(self.powers, 0)
        with (program or self.program).session(self.program.outputs, weights) as session:
            for feed, given in zip(self.feeds, self.given, strict=True):
                made = session.run(feed)
                for name, array in given.items():
                    total[name] += float(np.square(made[name].astype(np.float64) - array).sum())
                    count[name] += array.size
        return float(np.mean([total[name] / max(1, count[name]) / power for name, power in self.powers.items()]))


def _floats(values: Mapping[str, object]) -> dict[str, Array]:
    return {name: array for name, array in values.items() if isinstance(array, np.ndarray) and array.dtype.kind == "f"}
