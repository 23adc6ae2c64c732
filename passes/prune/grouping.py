"""All groups of a model, and what is left of its axes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from graphopt.analysis.shapes import Shapes
from graphopt.ir.garbage import uncollected
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Constant, Node, Tensor
from passes.prune.atoms import atoms
from passes.prune.groups import Group, Member
from passes.prune.kind import Kind
from passes.prune.leaf import leaf
from passes.prune.sites import Ints, Pin, components
from passes.prune.tell import told
from passes.prune.ties import Role

MOST_PINS = 8


class Grouping:
    """What can be cut from a model, and what cannot; and what was cut.

    groups: those that can be cut, in the order of the graph. pinned: those that cannot, each with its pins.
    calls: the nodes as they were; now: for nodes that were replaced by cutting, the node of today; was: the way back.
    alive: for each atom, whether it is still there.
    marked: for each atom, False; a note pad.
    marks: of atoms, what they are in a network, where an operator tells.
    kept: (tensor name, axis) to the original indices that are still there, for axes of which something was cut.

    averaged: whether atoms may go over which something is averaged, such as the width of a transformer, so that what is
    left changes.
    """

    def __init__(self, model: Model, shapes: Shapes, *, averaged: bool = False) -> None:
        self.model = model
        self.shapes = shapes
        with uncollected():
            self._find(averaged=averaged)

    def _find(self, *, averaged: bool) -> None:
        self.ties, self.calls = told(self.model, self.shapes)
        self.atoms = atoms(self.ties, averaged=averaged)
        self.now: dict[Node, Node] = {}
        self.was: dict[Node, Node] = {}
        self.kept: dict[tuple[str, int], Ints] = {}
        self.marked = np.zeros(len(self.atoms.labels), bool)
        self.alive = np.ones(len(self.atoms.labels), bool)
        self.readers: defaultdict[Tensor, dict[Node, None]] = defaultdict(dict)
        for call in self.calls.values():
            for tensor in call.inputs:
                self.readers[tensor][call.node] = None
        self._places = _Places(self)
        self.marks = {atom: kind for site, kind in self.ties.sites.marks for atom in self.atoms.of(site).tolist()}
        order = {node: index for index, node in enumerate(self.calls)}
        self.constants = {tensor for tensor in self.readers if isinstance(tensor, Constant)}
        found = sorted(_groups(self), key=lambda group: order[group.producers[0].user])
        self.groups = tuple(group for group in found if not group.pins)
        self.pinned = tuple(group for group in found if group.pins)

    def labels(self, tensor: Tensor, axis: int) -> Ints | None:
        """The atom at each original index of an axis; None where the axis is no site."""
        sites = self.ties.sites.known(tensor)
        return self.atoms.of(sites[axis]) if axis < len(sites) and sites[axis] >= 0 else None

    def values(self, node: Node, position: int) -> Array:
        """What a constant input of a call holds today, the call named as it was before any cut."""
        held = leaf(self.now.get(node, node).inputs[position])
        if held is None:
            raise LookupError(f"input {position} of {node!r} is not constant")
        return held.values

    def renamed(self, now: Mapping[Node, Node]) -> None:
        """Nodes were replaced: those of before any cut by these."""
        self.now.update(now)
        self.was.update((today, node) for node, today in now.items())

    def places(self, removed: Ints) -> dict[Tensor | Node, list[int]]:
        """The tensors with the axes on which these atoms lie; and the nodes on whose own sites they do."""
        return self._places.of(removed)

    def crossed(self, atoms: Ints) -> list[int]:
        """The sites on which these atoms lie, one of each class of equal ones."""
        return [int(site) for site in self._places.classes(atoms)]


class _Places:
    """On which sites atoms lie."""

    def __init__(self, grouping: Grouping) -> None:
        held = grouping.atoms
        self.sites = held.sites
        order = np.argsort(held.labels, kind="stable")
        self.order, self.sorted = order, held.labels[order]
        firsts = np.flatnonzero(held.starts >= 0)
        self.begins, self.firsts = held.starts[firsts], firsts
        self.members = np.argsort(held.classes, kind="stable")
        self.classed = held.classes[self.members]

    def classes(self, atoms: Ints) -> Ints:
        """The first site of each class on which atoms lie."""
        low, high = np.searchsorted(self.sorted, atoms), np.searchsorted(self.sorted, atoms, side="right")
        elements = np.concatenate([self.order[a:b] for a, b in zip(low, high, strict=True)] or [atoms])
        return np.unique(self.firsts[np.searchsorted(self.begins, elements, side="right") - 1])

    def of(self, atoms: Ints) -> dict[Tensor | Node, list[int]]:
        """The owners of the sites on which atoms lie, with the axes."""
        found: dict[Tensor | Node, list[int]] = {}
        classes = self.classes(atoms)
        bounds = (np.searchsorted(self.classed, classes, side=side) for side in ("left", "right"))
        sites = [self.members[low:high] for low, high in zip(*bounds, strict=True)]
        for site in sorted(int(site) for held in sites for site in held):
            owner, axis = self.sites.owners[site]
            found.setdefault(owner, []).append(axis)
        return found


def _groups(grouping: Grouping) -> Iterator[Group]:
    """Atoms that one weight makes are one group; those of it that are pinned are another."""
    members = list(_members(grouping))
    count = len(grouping.atoms.labels)
    makes = [member for member in members if member.role is Role.PRODUCER]
    none = [np.zeros(0, np.int64)]
    left, right = (np.concatenate([m.labels[cut] for m in makes] or none) for cut in (slice(-1), slice(1, None)))
    joined = components(count, left, right)
    made, read, pinned = (np.zeros(count, bool) for _ in range(3))
    for member in members:
        marks = {Role.PRODUCER: made, Role.CONSUMER: read}.get(member.role)
        if marks is not None:
            marks[member.labels] = True
    pinned[list(grouping.atoms.pinned)] = True
    uses: defaultdict[int, list[Member]] = defaultdict(list)
    for member in members:
        for root in dict.fromkeys(joined[member.labels].tolist()):
            uses[root].append(member)
    names: dict[str, int] = {}
    held = np.flatnonzero(made)
    held = held[np.argsort(joined[held], kind="stable")]
    for part in np.split(held, np.flatnonzero(np.diff(joined[held])) + 1) if len(held) else ():
        free = ~pinned[part] & read[part]
        for chosen, stays in ((part[free], False), (part[~free], True)):
            if len(chosen):
                pins = _pins(grouping, chosen) if stays else ()
                yield _group(grouping, chosen, uses[int(joined[chosen[0]])], names, pins)


def _group(
    grouping: Grouping, chosen: Ints, members: Iterable[Member], names: dict[str, int], pins: tuple[Pin, ...]
) -> Group:
    marked = grouping.marked
    marked[chosen] = True
    own = [within for member in members if (within := _restricted(member, marked)) is not None]
    marked[chosen] = False
    first = next(member for member in own if member.role is Role.PRODUCER)
    stem = first.constant.name or first.tensor.name
    names[stem] = names.get(stem, 0) + 1
    name = stem if names[stem] == 1 else f"{stem}#{names[stem]}"
    exact = grouping.atoms.averaged.isdisjoint(chosen.tolist())
    return Group(name, _kind(grouping, chosen, first, exact=exact), chosen, tuple(own), pins, exact)


def _kind(grouping: Grouping, chosen: Ints, first: Member, *, exact: bool) -> Kind:
    if not exact:
        return Kind.WIDTH
    told = grouping.marks.get(int(chosen[0]))
    if told is not None:
        return Kind(told)
    return Kind.CHANNELS if "Conv" in first.user.op else Kind.UNITS


def _pins(grouping: Grouping, held: Ints) -> tuple[Pin, ...]:
    pinned, sites = grouping.atoms.pinned, grouping.ties.sites
    numbers = sorted({pinned[atom] for atom in held.tolist() if atom in pinned})
    found = [Pin(sites.label(sites.pins[number][0]), sites.pins[number][2]) for number in numbers[:MOST_PINS]]
    return tuple(dict.fromkeys(found)) or (Pin("its outputs", "no weight reads them"),)


def _restricted(member: Member, held: Ints) -> Member | None:
    """The member with only the atoms that are marked (bool, for each atom); None if it has none of them."""
    inside = held[member.labels]
    if inside.all():
        return member
    return replace(member, labels=np.where(inside, member.labels, -1)) if inside.any() else None


def _members(grouping: Grouping) -> Iterator[Member]:
    """The uses of constants along sites, with the axes that the constants themselves have there."""
    sites, atoms_ = grouping.ties.sites, grouping.atoms
    for (node, position, axis), role in grouping.ties.roles.items():
        tensor = grouping.calls[node].inputs[position]
        site = (sites.of(tensor) or ())[axis]
        way = grouping.ties.source(tensor)
        if site < 0 or way is None or not isinstance(way[-1], Constant):
            continue
        own = sites.of(way[-1]) or ()
        reader = (node, position) if len(way) == 1 else (grouping.ties.makers[way[-2]].node, 0)
        labels = atoms_.of(site)
        for place in (axis,) if len(way) == 1 else range(len(own)):
            if own[place] >= 0 and (len(way) == 1 or np.isin(atoms_.of(own[place]), labels).any()):
                yield Member(node, *reader, way[-1], way[-1], place, atoms_.of(own[place]), role)
