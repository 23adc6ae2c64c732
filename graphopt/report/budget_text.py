"""What came of a budget, in sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from graphopt.budget.values import show_seconds
from graphopt.ir.words import listed
from graphopt.report.style import number, size

if TYPE_CHECKING:
    from graphopt.budget.record import Budgeted, Cost, Figure, Limit

SPELL: dict[str, Callable[[float], str]] = {
    "points": lambda value: f"{value:.2f} points",
    "": number,
    "s": show_seconds,
    "B": lambda value: size(round(value)),
    "times": lambda value: f"{value:.3f} times",
}


def limits(budgeted: Budgeted) -> list[str]:
    """How the result stands to each limit."""
    return [_limit(limit) for limit in budgeted.limits]


def missed(budgeted: Budgeted) -> str:
    """Which limits are broken, by how much, and what took most of each."""
    return " ".join(_limit(limit) + _blame(limit, budgeted) for limit in budgeted.limits if not limit.met)


def left_out(budgeted: Budgeted) -> list[str]:
    """What the result does without, one sentence for each."""
    units = {limit.name: limit.unit for limit in budgeted.limits}
    return [f"{_what(one)} was left out for {one.limit}: {_cost(one, units[one.limit])}." for one in budgeted.left_out]


def _limit(limit: Limit) -> str:
    name = f"{limit.name} {limit.given}".strip()
    noise = "; the limit lies within the interval, so that noise may have decided" if limit.straddles else ""
    return f"{name} is {'kept' if limit.met else 'missed'}: {_found(limit)}{noise}."


def _found(limit: Limit) -> str:
    found = _spelled(limit.found, limit.unit)
    if limit.name == "max-drop":
        original = f"{limit.original:.2f} %" if limit.unit == "points" else number(limit.original)
        return f"{limit.metric}, of which the original has {original}, gets worse by {found}"
    if limit.name == "never-slower":
        return f"a run takes {found} as long as that of the original"
    kind = "a run takes" if limit.unit == "s" else "the file has"
    return f"{kind} {found}, that of the original {SPELL[limit.unit](limit.original)}"


def _blame(limit: Limit, budgeted: Budgeted) -> str:
    worst = limit.costliest
    if worst is not None:
        out = any(one.step == worst.step for one in budgeted.left_out)
        what = f"was pass {worst.step}, which is left out already" if out else f"is pass {worst.step}"
        noise = ", which may be noise" if worst.cost.low < 0 else ""
        return f" What cost most of it {what}: {_spelled(worst.cost, limit.unit)}{noise}."
    others = [one for one in budgeted.left_out if one.limit != limit.name]
    if others and limit.everything is not None:
        reasons = " and ".join(dict.fromkeys(one.limit for one in others))
        without = f"{listed(map(_what, others), 2)} had to be left out for {reasons}"
        return f" No pass costs any of it, but {without}; else it would be {SPELL[limit.unit](limit.everything)}."
    return " No pass costs any of it."


def _what(cost: Cost) -> str:
    return f"{cost.rule} at {cost.place}" if cost.rule else f"pass {cost.step}"


def _cost(cost: Cost, unit: str) -> str:
    together = f"together with {cost.together - 1} more it" if cost.together > 1 else "it"
    if unit == "times":
        return f"with {'all of ' if cost.together > 1 else ''}it a run takes {_spelled(cost.cost, unit)} as long"
    return f"{together} costs {_spelled(cost.cost, unit)}"


def _spelled(found: Figure, unit: str) -> str:
    """`0.80 points (0.20 to 1.60)`."""
    spell = SPELL[unit]
    interval = f" ({_end(found.low, spell)} to {_end(found.high, spell)})" if found.low < found.high else ""
    return spell(found.value) + interval


def _end(value: float, spell: Callable[[float], str]) -> str:
    return spell(value).removesuffix(" points").removesuffix(" times")
