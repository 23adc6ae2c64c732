"""Which atoms a network misses least, by what the layers that read them can make up for.

With the second moments H of what a layer reads, the error of its output without the inputs of an atom, the others
being refitted, is tr(W_a' (H^-1)_aa^-1 W_a): Hassibi & Stork, Optimal Brain Surgeon, 1993; for blocks of inputs
Kurtic et al., The Optimal BERT Surgeon, 2022. Atoms go one after the other, the cheapest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.ir.types import Array, Node
from passes.prune.groups import Group
from passes.prune.recover.elimination import quadratic, solve_in_place, subtract
from passes.prune.recover.layers import Layer, rows_of
from passes.prune.recover.program import Part, Program
from passes.prune.recover.squares import RIDGE, TINY, added, products, rows_wanted, with_one

STEPS = 96
"""In so many steps at most a group is taken down: large ones lose several atoms at once."""


@dataclass(frozen=True)
class System:
    """One layer that reads a group, one of its groups of channels.

    second: [inputs + 1, inputs + 1] second moments of what it reads and 1. weights: [inputs + 1, outputs], the last row
    for the bias, which is counted from what it is. labels: the atom of each input, -1 for none and for the 1.
    """

    second: Array
    weights: Array
    labels: Array

    @property
    def power(self) -> float:
        """Sum over rows of the squared output, without its mean."""
        rows = float(self.second[-1, -1])
        sums = self.second[-1] @ self.weights
        total = quadratic(self.second, self.weights)
        return max(total - float(sums @ sums) / rows, TINY)


def second_moments(program: Program, found: Sequence[Layer], feeds: Part, seed: int) -> list[Array]:
    """Of what layers read, and 1 ([groups, inputs + 1, inputs + 1] each), from one pass over the samples."""
    rngs = [np.random.default_rng((seed, index)) for index in range(len(found))]
    totals: list[Array | None] = [None] * len(found)
    reads = [layer.node.inputs[0].name for layer in found]
    gives = [layer.node.outputs[0].name for layer in found]
    with program.session([*reads, *gives]) as session:
        for feed in feeds:
            values = session.run(feed)
            for index, layer in enumerate(found):
                y = values[gives[index]]
                samples = y.shape[0] if y.ndim > 1 else 1
                wanted = max(1, round(rows_wanted(layer) / feeds.count * samples))
                rows = rows_of(layer.places(y), wanted, rngs[index])
                x = with_one(layer.inputs(values[reads[index]], y.shape, rows))
                totals[index] = added(totals[index], products(x, x))
    return [_centred(layer, np.asarray(total)) for layer, total in zip(found, totals, strict=True)]


def _centred(layer: Layer, second: Array) -> Array:
    """The moments; for a layer without a bias as if the 1 had nothing to do with the other inputs."""
    if layer.bias is None:
        second[:, -1, :-1] = second[:, :-1, -1] = 0.0
    return second


def systems(group: Group, layers: Mapping[Node, tuple[Layer, Array]]) -> list[System] | None:
    """The layers that read a group, with their moments; None if something else reads it too."""
    found: list[System] = []
    for member in group.consumers:
        held = layers.get(member.user)
        if held is None or member.position != 1 or member.axis != held[0].reading:
            return None
        layer, moments = held
        weights = layer.weight.values
        parts = layer.groups if layer.transposed else 1
        labels = np.repeat(member.labels.reshape(parts, -1), max(1, int(np.prod(weights.shape[2:]))), axis=1)
        matrix = layer.matrix(weights)
        for part in range(layer.groups):
            own = np.zeros((matrix.shape[1] + 1, matrix.shape[2]), weights.dtype)
            own[:-1] = matrix[part]
            found.append(System(moments[part], own, np.append(labels[part % parts], -1)))
    return found


def ranked(group: Group, held: Iterable[System], ridge: float = RIDGE) -> Array:
    """The atoms of a group in the order in which they go, the one that is missed least first."""
    states = [_State(system, group.atoms, ridge) for system in held]
    alive = np.ones(group.size, bool)
    order: list[int] = []
    step = -(-group.size // STEPS)
    while alive.any():
        scores = sum(state.scores() for state in states)
        scores = np.where(alive, scores, np.inf)
        chosen = np.argsort(scores, kind="stable")[: min(step, int(alive.sum()))]
        for state in states:
            state.remove(chosen)
        alive[chosen] = False
        order += chosen.tolist()
    found: Array = group.atoms[np.array(order)]
    return found


class _State:
    """One system while atoms go: the inverse moments, and the weights as refitted so far.

    columns: the inputs of each atom that is there.
    """

    def __init__(self, system: System, atoms: Array, ridge: float) -> None:
        self.inverse = np.eye(len(system.second))
        solve_in_place(regular(system.second, ridge), self.inverse)
        self.weights = system.weights.astype(np.float64)
        self.scale = 1.0 / system.power
        places = np.searchsorted(atoms, system.labels)
        places = np.where(np.isin(system.labels, atoms), places, len(atoms))
        order = np.argsort(places, kind="stable")
        self.columns = np.split(order, np.searchsorted(places[order], np.arange(1, len(atoms) + 1)))[: len(atoms)]

    def scores(self) -> Array:
        """The error that each atom would add (0 for those that are gone)."""
        found = np.zeros(len(self.columns))
        widths = np.array([len(columns) for columns in self.columns])
        for width in np.unique(widths[widths > 0]).tolist():
            atoms = np.flatnonzero(widths == width)
            columns = np.stack([self.columns[atom] for atom in atoms])
            weights = self.weights[columns]
            within = self.inverse[columns[:, :, None], columns[:, None, :]]
            found[atoms] = (weights * np.linalg.solve(within, weights)).sum(axis=(1, 2)) * self.scale
        return found

    def remove(self, atoms: Array) -> None:
        """Take atoms out, the other weights making up for them."""
        columns = np.concatenate([self.columns[atom] for atom in atoms])
        if not len(columns):
            return
        across = self.inverse[:, columns]
        solved = np.linalg.solve(across[columns], np.concatenate([across.T, self.weights[columns]], axis=1))
        size = len(self.inverse)
        subtract(self.inverse, across, solved[:, :size])
        subtract(self.weights, across, solved[:, size:])
        self.weights[columns] = 0.0
        for atom in atoms:
            self.columns[atom] = columns[:0]


def regular(second: Array, ridge: float, chosen: Array | None = None) -> Array:
    """A copy of second moments, by default of all inputs, with a ridge, so that they can be inverted."""
    diagonal = np.diagonal(second)[:-1]
    mean = max(float(diagonal.mean()), TINY)
    extra = np.append(np.full(len(diagonal), ridge * mean), 1e-9 * mean)
    found: Array = second.copy() if chosen is None else second[np.ix_(chosen, chosen)]
    np.einsum("ii->i", found)[:] += extra if chosen is None else extra[chosen]
    return found


def refitted(system: System, gone: Array, ridge: float = RIDGE) -> Array:
    """The weights and bias [inputs + 1, outputs] without some atoms: zeros there, and the rest makes up for them."""
    stays = np.flatnonzero(~np.isin(system.labels, gone) | (system.labels < 0))
    out = np.setdiff1d(np.arange(len(system.labels)), stays)
    change = system.second[np.ix_(stays, out)] @ system.weights[out]
    solve_in_place(regular(system.second, ridge, stays), change)
    change += system.weights[stays]
    found = np.zeros_like(system.weights)
    found[stays] = change
    return found
