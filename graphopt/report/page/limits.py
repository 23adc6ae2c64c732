"""How a result stands to its budget, for the page."""

from __future__ import annotations

from collections.abc import Iterator

from graphopt.budget.record import Budgeted, Limit
from graphopt.report import budget_text
from graphopt.report.page import charts
from graphopt.report.page.charts import Interval
from graphopt.report.page.drawing import chart
from graphopt.report.page.html import Item, Section

MOST = 300
"""Sentences about what was left out; the rest is counted."""


def limits(budget: Budgeted | None) -> Iterator[Section]:
    """How the result stands to its limits, what each pass takes of them, and what was left out for them."""
    if budget is None:
        return
    items = [Item(lines=budget_text.limits(budget))]
    items += [_costs(place, limit) for place, limit in enumerate(budget.limits) if limit.costs]
    left_out = budget_text.left_out(budget)
    more = len(left_out) - MOST
    if left_out:
        rest = [f"... and {more:,} more, in the report with the ending .json."] if more > 0 else []
        items.append(Item("Left out", lines=[*left_out[:MOST], *rest]))
    yield Section("budget", "Budget", items, grade="" if budget.met else "bad")


def _costs(place: int, limit: Limit) -> Item:
    """What each pass takes of a limit, worst in red."""
    spell = budget_text.SPELL[limit.unit]
    rows = [
        Interval(
            one.step, one.cost.value, one.cost.low, one.cost.high, spell(one.cost.value),
            "bad" if one is limit.costliest else "after",
        )
        for one in limit.costs
    ]  # fmt: skip
    title = f"What each pass takes of {limit.name}, with its interval; right of the line is worse"
    said = "; ".join(f"{row.name} {row.words}" for row in rows)
    return Item(chart=chart(f"cost{place}", title, said, lambda room: charts.intervals(rows, spell, room, zero=0.0)))
