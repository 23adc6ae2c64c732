"""What became of the nodes of a model, as people read it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from graphopt.ir.words import listed
from graphopt.report.changes import Changes, NodeChange, State
from graphopt.report.style import indented, table, text

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

WORDS = {
    State.KEPT: "as they were",
    State.CHANGED: "with other attributes or inputs",
    State.FUSED: "new, stand for some of the original",
    State.ADDED: "new",
    State.REPLACED: "gone, the fused ones stand for them",
    State.REMOVED: "gone",
}
STYLES = {State.FUSED: "cyan", State.ADDED: "green", State.REPLACED: "yellow", State.REMOVED: "red"}
MOST = 12


def layout(record: Changes) -> Group:
    """The changes for a console: how many nodes in each state, and what was made of what."""
    from rich.console import Group

    parts: list[RenderableType] = [text(f"{record.original}  ->  {record.model}", "bold"), indented(_states(record))]
    made = [node for node in record.nodes if node.state is State.FUSED]
    if made:
        parts.append(indented(_made(record, made)))
    return Group(*parts)


def _states(record: Changes) -> Table:
    grid = table("nodes", "", "", "operators", right=("nodes",))
    for state in State:
        if not record.counts[state]:
            continue
        operators = Counter(node.operator for node in record.nodes if node.state is state).most_common()
        said = listed([f"{name} {count}" for name, count in operators], 6)
        style = STYLES.get(state, "")
        grid.add_row(f"{record.counts[state]:,}", text(state, style), text(WORDS[state], "dim"), text(said))
    return grid


def _made(record: Changes, made: list[NodeChange]) -> Table:
    """What was made of what, alike ones together."""
    operators = {node.name: node.operator for node in record.nodes if node.state in (State.REPLACED, State.REMOVED)}
    recipes = Counter(
        (node.rule, " + ".join(operators.get(name, name) for name in node.others), node.operator) for node in made
    )
    grid = table("times", "rule", "made", "of", right=("times",))
    for (rule, sources, operator), count in recipes.most_common(MOST):
        grid.add_row(f"{count:,}", text(rule or "-"), text(operator), text(sources, "dim"))
    if len(recipes) > MOST:
        grid.add_row("", text(f"and {len(recipes) - MOST} more kinds (--json)", "dim"))
    return grid
