"""Which groups may be cut, and by how much, as the options say that all ways to choose have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from graphopt.errors import UsageError
from graphopt.pipeline.passes import Options
from passes.prune.grouping import Grouping
from passes.prune.groups import Group
from passes.prune.kind import Kind

if TYPE_CHECKING:
    from graphopt.pipeline.context import Context

MOST_NAMES = 8


def grouped(context: Context, options: Options) -> Grouping:
    """The groups of the model; of the width of a network too, if it is asked for."""
    return Grouping(context.model, context.shapes, averaged=Kind.WIDTH in options.get("kinds", ()))


def candidates(grouping: Grouping, options: Options) -> list[Group]:
    """The groups that may be cut. Raises UsageError where there are none, or a pattern matches nothing."""
    if not grouping.groups:
        raise UsageError(f"prune: nothing in this model can be cut: {why_nothing(grouping)}")
    every = (*grouping.groups, *grouping.pinned)
    only, keep = (_matching(every, options.get(name), name) for name in ("only", "keep"))
    kinds = options.get("kinds", tuple(Kind))
    found = [
        group
        for group in grouping.groups
        if group not in keep and (options.get("only") is None or group in only) and group.kind in kinds
    ]
    if not found:
        raise UsageError(f"prune: {_nothing_left(grouping, options, only)}")
    return found


def _nothing_left(grouping: Grouping, options: Options, only: Collection[Group]) -> str:
    """Why the options leave no group, in words."""
    asked = " and ".join(f"{name}={'+'.join(options[name])}" for name in ("only", "keep", "kinds") if name in options)
    kinds = Counter(str(group.kind) for group in grouping.groups)
    there = ", ".join(f"{count} of {kind}" for kind, count in sorted(kinds.items()))
    pins = "".join(f"; {group.name} stays because of {group.pins[0]}" for group in only if group.pins)
    return f"{asked} leaves nothing to cut; there are groups {there}{pins}"


def _matching(groups: tuple[Group, ...], patterns: tuple[str, ...] | None, option: str) -> dict[Group, None]:
    """The groups with a name that fits one of the patterns, each of which must fit one."""
    found: dict[Group, None] = {}
    for pattern in patterns or ():
        fitting = [group for group in groups if any(fnmatchcase(name, pattern) for name in _names(group))]
        if not fitting:
            some = ", ".join(group.name for group in groups[:MOST_NAMES])
            raise UsageError(
                f"prune: {option}={pattern} matches no group; some are {some}. graphopt inspect --groups shows all."
            )
        found.update(dict.fromkeys(fitting))
    return found


def _names(group: Group) -> set[str]:
    """What a group may be called: itself, the weights that make it, and who reads these."""
    makers = group.producers
    return {group.name, *(member.constant.name for member in makers), *(member.user.name for member in makers)}


def why_nothing(grouping: Grouping) -> str:
    """What keeps everything from being cut, in words."""
    if grouping.pinned:
        return "; ".join(f"{group.name} stays because of {group.pins[0]}" for group in grouping.pinned[:MOST_NAMES])
    if grouping.model.graph.defaults:
        return "its weights are inputs that callers may override; the pass freeze makes constants of them"
    if any(call.node.op in ("If", "Loop", "Scan") for call in grouping.calls.values()):
        return "its weights are in graphs inside If, Loop or Scan"
    return "it has no weights that make channels, heads or units"
