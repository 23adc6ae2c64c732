"""Cutting: the consumers of atoms are zeroed, then the atoms are taken out of every tensor on which they lie.

Both are rewrites whose region is closed: what goes in and comes out keeps its shape. The first changes the numbers; the
second does not, so every real cut is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from graphopt.ir.types import Array, Node, Tensor
from graphopt.numerics.contract import Close, Judged
from graphopt.pipeline.context import Context
from graphopt.pipeline.journal import Status, Verdict
from passes.prune.grouping import Grouping
from passes.prune.groups import Group
from passes.prune.rebuild import Values, rebuild
from passes.prune.remaining import Remaining
from passes.prune.sites import Ints
from passes.prune.ties import Call, Change, entry

ERROR = 64
"""Rounding errors by which sums may differ that were made with and without terms that are zero."""

ZEROED = Verdict(Status.VERIFIED, detail="the same calls, with zeros among their weights")


def cut(context: Context, grouping: Grouping, removed: Mapping[Group, Iterable[int]]) -> list[Group]:
    """Take atoms out of groups, one group after the other. Returns the groups from which they were taken.

    Raises ValueError for atoms that a group does not have.
    """
    done = [
        group for group, gone in removed.items() if _cut(context, grouping, group, np.array(sorted(gone), np.int64))
    ]
    context.editor.flush()
    return done


def _cut(context: Context, grouping: Grouping, group: Group, gone: Ints) -> bool:
    unknown = np.setdiff1d(gone, group.atoms[grouping.alive[group.atoms]])
    if len(unknown):
        raise ValueError(f"{group.name} has no atoms {unknown[:8].tolist()}")
    if not len(gone):
        return False
    zeroed, before = masked(grouping, group, gone)
    if not rebuild(context, grouping, zeroed, "mask", Judged(), values=zeroed, evidence=ZEROED):
        return False
    after = grouping.alive.copy()
    after[gone] = False
    left = Remaining(grouping, after)
    places = grouping.places(gone)
    nodes = around(grouping, places)
    changes = {node: _change(grouping.calls[node], left) for node in nodes}
    values = {node: _smaller(grouping, node, places, left) for node in nodes if changes[node].value is None}
    if not rebuild(
        context, grouping, nodes, "cut", Close(ERROR) if group.exact else Judged(), values=values, changes=changes
    ):
        rebuild(context, grouping, zeroed, "unmask", Judged(), values=before)
        return False
    grouping.alive = after
    for owner, axes in places.items():
        if not isinstance(owner, Node):
            grouping.kept.update(((owner.name, axis), left.indices(owner, axis)) for axis in axes)
    return True


def masked(grouping: Grouping, group: Group, gone: Ints) -> tuple[Values, Values]:
    """The consumers of a group with zeros where they read these atoms, and as they are today."""
    after: dict[Node, dict[int, Array]] = {}
    before: dict[Node, dict[int, Array]] = {}
    for member in group.consumers:
        today = grouping.values(member.node, member.position)
        before.setdefault(member.node, {})[member.position] = today
        held = after.setdefault(member.node, {}).setdefault(member.position, today.copy())
        labels = grouping.labels(member.tensor, member.axis)
        if labels is not None:
            labels = labels[grouping.alive[labels]]
            held[(slice(None),) * member.axis + (np.isin(labels, gone),)] = 0
    return after, before


def around(grouping: Grouping, places: Mapping[Tensor | Node, list[int]]) -> list[Node]:
    """The calls that make or read one of these tensors, and the nodes among the owners."""
    found: dict[Node, None] = {}
    for owner in places:
        if isinstance(owner, Node):
            found[owner] = None
            continue
        made = grouping.ties.makers.get(owner)
        if made is not None:
            found[made.node] = None
        found.update(grouping.readers[owner])
    return list(found)


def _change(call: Call, left: Remaining) -> Change:
    """What the table says of the call after the cut, as far as it is another than now."""
    held = entry(call.node)
    if held is None:
        return Change()
    change = held.retune(call, left)
    inputs = {p: target for p, target in change.inputs.items() if call.numbers(p) != target.reshape(-1).tolist()}
    return replace(change, inputs=inputs)


def _smaller(
    grouping: Grouping, node: Node, places: Mapping[Tensor | Node, list[int]], left: Remaining
) -> dict[int, Array]:
    """The constants that a call reads, without what is cut from them."""
    found: dict[int, Array] = {}
    for position, tensor in enumerate(grouping.calls[node].inputs):
        if tensor not in places or tensor not in grouping.constants:
            continue
        array = grouping.values(node, position)
        for axis in places[tensor]:
            array = np.take(array, left.selection(tensor, axis), axis)
        found[position] = array
    return found
