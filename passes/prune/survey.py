"""The groups of a model, described for people and programs."""

from __future__ import annotations

from graphopt.analysis.shapes import Shapes
from graphopt.ir.model import Model
from graphopt.pipeline.survey import Found
from passes.prune.choose import why_nothing
from passes.prune.grouping import Grouping
from passes.prune.groups import Group
from passes.prune.ties import Role


def survey(model: Model) -> tuple[list[Found], str]:
    """All groups, and, if there are none, why."""
    grouping = Grouping(model, Shapes(model))
    found = [_found(group) for group in (*grouping.groups, *grouping.pinned)]
    return found, "" if found else why_nothing(grouping)


def _found(group: Group) -> Found:
    members = {str(role): tuple(_place(m.constant.name, m.axis) for m in group.of(role)) for role in Role}
    pins = tuple(map(str, group.pins))
    return Found(group.name, str(group.kind), group.size, {role: held for role, held in members.items() if held}, pins)


def _place(name: str, axis: int) -> str:
    return f"{name}[{axis}]"
