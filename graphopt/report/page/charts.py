"""The drawings of a report, each a function of a few plain rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphopt.report.page.drawing import COLOURS, Room, Tips, figure, label, margins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.27
"""Height of a row of bars, in inches."""
LETTER = 0.066
"""Width of a letter, in inches, on average."""
HEADER = 0.34
"""Height of titles above rows, in inches."""

Drawn = tuple["Figure", Tips]


@dataclass(frozen=True)
class Pair:
    """One quantity before and after. spell: how a value of it is said."""

    name: str
    before: float
    after: float
    spell: Callable[[float], str]


def pairs(rows: Sequence[Pair], room: Room) -> Drawn:
    """Each quantity as two bars, before and after; the longer one of each pair fills its row."""
    made, (axes,) = figure(room, 2 * ROW * len(rows) + 0.1)
    tips: Tips = {}
    for index, row in enumerate(rows):
        most = max(row.before, row.after) or 1.0
        for part, value, colour in ((0, row.before, "before"), (1, row.after, "after")):
            at = index + 0.19 + 0.36 * part
            bar = axes.barh(at, value / most, height=0.32, color=COLOURS[colour])[0]
            bar.set_gid(f"tip{index}{colour}")
            tips[f"tip{index}{colour}"] = f"{row.name} {colour}: {row.spell(value)}"
            weight = "bold" if part else "normal"
            axes.annotate(
                row.spell(value), (value / most, at), (5, 0), textcoords="offset points", va="center", weight=weight
            )
    names = [label(row.name, room) for row in rows]
    axes.set(yticks=[index + 0.37 for index in range(len(rows))], yticklabels=names, ylim=(len(rows) - 0.2, -0.1))
    axes.set(xlim=(0, 1.0), xticks=[])
    axes.spines["bottom"].set_visible(False)
    _fit(made, names, right=1.5 + max(len(row.spell(v)) for row in rows for v in (row.before, row.after)))
    return made, tips


def operators(rows: Sequence[tuple[str, int, int]], room: Room) -> Drawn:
    """How often each operator occurs, before (open) and after (filled)."""
    made, (axes,) = figure(room, ROW * len(rows) + HEADER)
    tips: Tips = {}
    for index, (name, before, after) in enumerate(rows):
        axes.plot([before, after], [index, index], color=COLOURS["line"], linewidth=3, zorder=1)
        axes.scatter(
            [before], [index], s=44, color=COLOURS["surface"], edgecolors=COLOURS["before"], linewidths=2, clip_on=False
        )
        dot = axes.scatter([after], [index], s=44, color=COLOURS["after"], zorder=3, clip_on=False)
        dot.set_gid(f"tip{index}")
        tips[f"tip{index}"] = f"{name}: {before:,} before, {after:,} after"
        words = f"{before:,} → {after:,}" if before != after else f"{after:,}"
        axes.annotate(words, (max(before, after), index), (9, 0), textcoords="offset points", va="center", size=8)
    names = [label(name, room) for name, _, _ in rows]
    _rows(axes, names)
    most = max(max(before, after) for _, before, after in rows)
    axes.set_xlim(-0.02 * most, most * 1.02)
    _whole_numbers(axes)
    _fit(made, names, right=max(len(f"{b:,} → {a:,}") for _, b, a in rows), top=0.08, bottom=HEADER - 0.08)
    return made, tips


@dataclass(frozen=True)
class Panel:
    """One column of bars. values: one for each row, None where there is none. spell: how a value is said."""

    title: str
    values: Sequence[float | None]
    spell: Callable[[float], str]
    colour: str = "after"


def bars(
    names: Sequence[str], panels: Sequence[Panel], room: Room, tips_of: Sequence[str] = (), *, alike: bool = False
) -> Drawn:
    """Rows of bars, one column for each panel; a panel without any value is left out.

    tips_of: what to say of each row when a pointer rests on its bars. alike: all panels have one scale.
    """
    shown = [panel for panel in panels if any(value is not None for value in panel.values)]
    made, columns = figure(room, ROW * len(names) + HEADER, len(shown))
    tips: Tips = {}
    largest = max((abs(value or 0.0) for panel in shown for value in panel.values), default=0.0)
    for number, (panel, axes) in enumerate(zip(shown, columns, strict=True)):
        values = [value or 0.0 for value in panel.values]
        drawn = axes.barh(range(len(names)), values, height=0.62, color=COLOURS[panel.colour])
        most = (largest if alike else max(map(abs, values))) or 1.0
        axes.set(xlim=(0, most), xticks=[])
        axes.spines["bottom"].set_visible(False)
        axes.set_title(panel.title, pad=4)
        for index, (bar, value) in enumerate(zip(drawn, panel.values, strict=True)):
            words = "" if value is None else panel.spell(value)
            axes.annotate(
                words,
                (values[index], index),
                (4, 0),
                textcoords="offset points",
                va="center",
                size=8,
                color=COLOURS["muted"],
            )
            bar.set_gid(f"tip{number}-{index}")
            tips[f"tip{number}-{index}"] = f"{(tips_of or names)[index]}: {panel.title} {words}"
    labels = [label(name, room) for name in names]
    _rows(columns[0], labels)
    _fit(made, labels, right=7, top=HEADER - 0.06, between=_gap(room, len(shown), labels))
    return made, tips


@dataclass(frozen=True)
class Promise:
    """Errors measured against the bound of a contract, all in rounding errors."""

    name: str
    errors: Sequence[float]
    bound: float


def promises(rows: Sequence[Promise], room: Room) -> Drawn:
    """For each rule, how far its rewrites were from what they promise: dots up to a bar."""
    made, (axes,) = figure(room, ROW * len(rows) + HEADER + 0.16)
    tips: Tips = {}
    for index, row in enumerate(rows):
        axes.barh(index, row.bound, height=0.62, color=COLOURS["line"], zorder=0)
        axes.plot([row.bound] * 2, [index - 0.36, index + 0.36], color=COLOURS["muted"], linewidth=2)
        good = [error for error in row.errors if error <= row.bound]
        bad = [error for error in row.errors if error > row.bound]
        for part, errors, colour in (("good", good, "good"), ("bad", bad, "bad")):
            if errors:
                dots = axes.scatter(errors, [index] * len(errors), s=36, color=COLOURS[colour], alpha=0.75, zorder=3)
                dots.set_gid(f"tip{index}{part}")
                tips[f"tip{index}{part}"] = f"{row.name}: at most {max(errors):.3g} of {row.bound:g} rounding errors"
    names = [label(row.name, room) for row in rows]
    _rows(axes, names)
    most = max(max([row.bound, *row.errors]) for row in rows)
    axes.set_xscale("symlog", linthresh=1.0, linscale=0.5)
    axes.set_xlim(-0.08, most * 1.35)
    _powers(axes, most)
    axes.set_xlabel("rounding errors (logarithmic); the bar ends at what the contract allows")
    if room.narrow:
        axes.set_xlabel("rounding errors; the bar ends at the contract")
    _fit(made, names, right=2, top=0.06, bottom=HEADER + 0.1)
    return made, tips


# ---- what they share ----


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))


def _fit(
    made: Figure, names: Sequence[str], *, right: float, top: float = 0.05, bottom: float = 0.05, between: float = 0.1
) -> None:
    """Margins for these names at the left and so many letters at the right."""
    left = LETTER * max(map(len, names), default=0) + 0.14
    margins(made, left=left, right=LETTER * right + 0.1, top=top, bottom=bottom, between=between)


def _gap(room: Room, columns: int, names: Sequence[str]) -> float:
    """Room for the numbers at the ends of bars, in parts of the width of one of the columns."""
    left = LETTER * max(map(len, names), default=0) + 0.14
    need = LETTER * 9.5
    width = (room.width - left - need - (columns - 1) * need) / columns
    return need / max(width, 0.1)


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _powers(axes: Axes, most: float) -> None:
    """Ticks at 0, 1, 10, 100 and so on."""
    from matplotlib.ticker import FixedLocator, NullLocator

    ticks = [0.0, 1.0]
    while ticks[-1] < most:
        ticks.append(ticks[-1] * 10)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="x")
    axes.set_axisbelow(True)


@dataclass(frozen=True)
class Spread:
    """How measurements of one thing are distributed. quantiles: 0, 0.05 and so on to 1. marks: those that are told."""

    name: str
    quantiles: Sequence[float]
    marks: Sequence[tuple[str, float]]
    colour: str


def spreads(rows: Sequence[Spread], spell: Callable[[float], str], room: Room) -> Drawn:
    """For each row a box over the middle half, a line over the middle eight tenths, and the median."""
    made, (axes,) = figure(room, 0.5 * len(rows) + HEADER)
    tips: Tips = {}
    most = max(row.quantiles[18] for row in rows) or 1.0
    for index, row in enumerate(rows):
        low, first, middle, third, high = (row.quantiles[place] for place in (2, 5, 10, 15, 18))
        colour = COLOURS[row.colour]
        axes.plot([low, high], [index, index], color=colour, linewidth=2, zorder=2)
        box = axes.barh(index, third - first, left=first, height=0.42, color=colour, zorder=3)[0]
        box.set_gid(f"tip{index}")
        tips[f"tip{index}"] = f"{row.name}: " + ", ".join(f"{name} {spell(value)}" for name, value in row.marks)
        axes.plot([middle] * 2, [index - 0.3, index + 0.3], color=COLOURS["ink"], linewidth=2.2, zorder=4)
        words = spell(middle)
        axes.annotate(
            words, (middle, index - 0.3), (0, 2), textcoords="offset points", ha="center", size=8, weight="bold"
        )
    names = [label(row.name, room) for row in rows]
    axes.set(yticks=range(len(rows)), yticklabels=names, ylim=(len(rows) - 0.45, -0.75), xlim=(0, most * 1.04))
    _numbers(axes, spell, room)
    _fit(made, names, right=4, top=0.06, bottom=HEADER - 0.06)
    return made, tips


@dataclass(frozen=True)
class Interval:
    """A number and the ends of its interval, if it has one."""

    name: str
    value: float
    low: float | None
    high: float | None
    words: str
    colour: str = "after"


def intervals(rows: Sequence[Interval], spell: Callable[[float], str], room: Room, zero: float | None = None) -> Drawn:
    """For each row a dot with its interval, where they are finite. zero: where nothing changes, a line."""
    made, (axes,) = figure(room, 0.36 * len(rows) + HEADER)
    tips: Tips = {}
    for index, row in enumerate(rows):
        colour = COLOURS[row.colour]
        if row.low is not None and row.high is not None and math.isfinite(row.high - row.low):
            axes.plot([row.low, row.high], [index, index], color=colour, linewidth=3, zorder=2, alpha=0.55)
        if math.isfinite(row.value):
            axes.scatter([row.value], [index], s=52, color=colour, zorder=3).set_gid(f"tip{index}")
        tips[f"tip{index}"] = f"{row.name}: {row.words}"
    if zero is not None:
        axes.axvline(zero, color=COLOURS["muted"], linewidth=1.2, zorder=1)
    names = [label(row.name, room) for row in rows]
    _rows(axes, names)
    ends = [end for row in rows for end in (row.value, row.low, row.high) if end is not None and math.isfinite(end)]
    ends += [] if zero is None else [zero]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    axes.set_xlim(low - margin, high + margin)
    _numbers(axes, spell, room)
    _fit(made, names, right=4, top=0.06, bottom=HEADER - 0.06)
    return made, tips


def _numbers(axes: Axes, spell: Callable[[float], str], room: Room) -> None:
    """A few round numbers below the axis."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=3 if room.narrow else 6))
    axes.xaxis.set_major_formatter(lambda value, _: spell(value))
    axes.grid(axis="x")
    axes.set_axisbelow(True)
