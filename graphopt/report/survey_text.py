"""The groups of a model, as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphopt.pipeline.survey import Found, Survey
from graphopt.report.style import counted, indented, sentence, shortened, table, text

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

MOST_MEMBERS = 3


def layout(record: Survey) -> Group:
    """The groups for a console: what can go with its members, what stays with its pins."""
    from rich.console import Group

    free = [group for group in record.groups if not group.pins]
    pinned = [group for group in record.groups if group.pins]
    parts: list[RenderableType] = [text(record.model, "bold")]
    if free:
        parts.append(indented(_free(free)))
    if pinned:
        parts.append(indented(_pinned(pinned)))
    said = f"{counted(len(free), 'group')} can be cut, {counted(len(pinned), 'group')} cannot."
    parts.append(indented(text(f"{said} {sentence(record.note)}".rstrip())))
    return Group(*parts)


def _free(groups: list[Found]) -> Table:
    rows = table("size", "kind", "group", right=["size"])
    for group in groups:
        rows.add_row(f"{group.size:,}", group.kind, text(group.name))
        for role, held in group.members.items():
            rows.add_row("", "", text(f"{counted(len(held), role)}: {_few(held)}", "dim"))
    return rows


def _pinned(groups: list[Found]) -> Table:
    rows = table("size", "kind", "stays", "because of", right=["size"])
    for group in groups:
        rows.add_row(f"{group.size:,}", group.kind, text(group.name), text(shortened(_few(group.pins, "; "))))
    return rows


def _few(names: tuple[str, ...], between: str = ", ") -> str:
    more = f" and {len(names) - MOST_MEMBERS} more" if len(names) > MOST_MEMBERS else ""
    return between.join(names[:MOST_MEMBERS]) + more
