"""The report as people read it: a few lines, the numbers first."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from graphopt.ir.words import FEW, listed
from graphopt.pipeline import journal
from graphopt.pipeline.journal import Entry, Status, Verdict
from graphopt.report import budget_text
from graphopt.report.quantities import quantities
from graphopt.report.record import Report
from graphopt.report.style import (
    cell,
    counted,
    indented,
    labelled,
    number,
    plain,
    sentence,
    shortened,
    table,
    text,
)

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

NOTHING_TO_CHECK = "nothing was rewritten"
MOST_ROWS = 12
"""Of a table of figures, unless everything is asked for."""
NEAR = 2
"""Depth of a refusal up to which it is no news: rules of one operator are refused at every such operator."""


def render(report: Report, *, whole: bool = False) -> str:
    """The report as plain text: in brief, or `whole`, with the time of each pass."""
    return plain(layout(report, timing=whole, whole=whole))


def layout(report: Report, *, output: str = "", timing: bool = False, whole: bool = False) -> Group:
    """The report for a console.

    output: where the result was written, "" if it was not. timing: also say how long each run of each pass took.
    whole: leave out nothing of long lists and sentences.
    """
    from rich.console import Group

    arrow = f" -> {output}" if output else ""
    parts: list[RenderableType] = [text(f"{report.model}{arrow}", "bold"), indented(_sizes(report))]
    if report.rewrites:
        parts.append(indented(_passes(report)))
    if timing:
        parts.append(indented(_times(report)))
    for figures in report.tables:
        parts += [indented(text(figures.title, "bold")), indented(_figures(figures, whole=whole))]
    parts.append(indented(_words(report, output, whole=whole)))
    return Group(*parts)


# ---- sentences, for every format ----


def verdict(report: Report) -> str:
    """How far the result was checked, in sentences."""
    if not report.rewrites:
        return "Nothing was rewritten."
    counts = Counter(entry.verdict.status for entry in report.rewrites)
    parts = [
        (counts[Status.VERIFIED], "verified"),
        (counts[Status.EVALUATED], "computed by the reference runtime itself"),
        (counts[Status.UNVERIFIED], "unverified"),
        (counts[Status.OFF], f"not checked (--verify {report.level})"),
    ]
    made = ", ".join(f"{count:,} {words}" for count, words in parts if count)
    runs = f"; {counted(report.regions_checked, 'region')} run" if report.regions_checked else ""
    return f"{counted(len(report.rewrites), 'rewrite')}: {made}{runs}. {whole_verdict(report)}"


def whole_verdict(report: Report) -> str:
    """What came of comparing the result with the original, in a sentence."""
    whole = report.whole
    if whole.status is Status.VERIFIED:
        return _agreement(report)
    if whole.status is Status.UNVERIFIED:
        return sentence(f"The whole model was not verified: {whole.detail}")
    return f"The whole model was not compared with the original (--verify {report.level})."


def _agreement(report: Report) -> str:
    """How a result that was compared with the original agrees with it."""
    whole = report.whole
    if whole.detail == NOTHING_TO_CHECK:
        return "Nothing was rewritten."
    if report.contract == "judged":
        return sentence(f"The whole model runs, and is {whole.detail}")
    if report.contract.startswith("lossy"):
        found = f": the worst that was measured is {number(whole.error)}" if whole.error is not None else ""
        return f"The whole model keeps {report.contract}{found}."
    if not whole.error:
        return "The whole model agrees with the original without any difference."
    return (
        f"The whole model agrees with the original: its largest error is {number(whole.error)} rounding errors, "
        f"{whole.detail or f'within {report.contract}'}."
    )


def rolled_back(report: Report, *, brief: bool = False) -> list[str]:
    """One sentence for each rule and reason for which rewrites were undone; if `brief`, one for each rule."""
    lines = []
    for rule, where, verdict in _alike(report.rolled_back, brief=brief):
        line = sentence(f"{rule} was undone at {where}: {verdict.detail}")
        lines.append(line + (f" See {verdict.reproducer}/README.md." if verdict.reproducer else ""))
    return lines


def unverified(report: Report, *, brief: bool = False) -> list[str]:
    """One sentence for each rule and reason for which rewrites were kept without a check; if `brief`, for each rule."""
    alike = _alike(report.unverified, brief=brief)
    return [sentence(f"{rule} was kept at {where}: {verdict.detail}") for rule, where, verdict in alike]


def _alike(entries: Iterable[Entry], *, brief: bool) -> list[tuple[str, str, Verdict]]:
    """Entries with the same rule and, unless `brief`, reason: the rule, the places, the first verdict."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.rule, "" if brief else entry.verdict.detail), []).append(entry)
    return [(rule, _places(group), group[0].verdict) for (rule, _), group in groups.items()]


def _places(entries: list[Entry]) -> str:
    """The first place, and how many others; "the first" says that their reasons may be others."""
    if len({entry.verdict.detail for entry in entries}) == 1:
        return listed([entry.place for entry in entries], 2)
    return f"{entries[0].place} and {len(entries) - 1} more, the first"


def next_steps(report: Report, output: str = "") -> list[str]:
    """Commands that tell more."""
    model = shlex.quote(report.model)
    steps = [
        f"graphopt why {model} --rule {rule}  ({counted(count, 'near miss', 'near misses')})"
        for rule, count in _near_misses(report)
    ]
    if output and report.whole.status is not Status.UNVERIFIED and not report.whole.detail:
        steps.append(f"graphopt compare {model} {shlex.quote(output)} --contract {shlex.quote(report.contract)}")
    return steps


def _near_misses(report: Report, most: int = 2) -> list[tuple[str, int]]:
    """Rules of several operators that never fired though much of their pattern was there, and in how many places."""
    hits = report.hits
    missed = [refusal for refusal in report.refusals if refusal.rule not in hits and refusal.depth > NEAR]
    depth = {rule: max(r.depth for r in missed if r.rule == rule) for rule in {r.rule for r in missed}}
    counts = Counter(refusal.rule for refusal in missed)
    order = sorted(counts.items(), key=lambda item: (-depth[item[0]], -item[1], item[0]))
    return order[:most]


@dataclass(frozen=True)
class PassSummary:
    """All runs of one step together. hits: kept rewrites by rule, most frequent first."""

    step: str
    removed: int
    seconds: float
    hits: dict[str, int]


def summary(report: Report) -> list[PassSummary]:
    """The steps that rewrote anything, in the order of their first run; `fix(...)` runs some of them repeatedly."""
    steps: dict[str, PassSummary] = {}
    for record in report.steps:
        so_far = steps.get(record.step, PassSummary(record.step, 0, 0.0, {}))
        hits = Counter(so_far.hits) + Counter(record.hits)
        removed = so_far.removed + record.nodes_before - record.nodes_after
        seconds = so_far.seconds + record.seconds
        steps[record.step] = PassSummary(record.step, removed, seconds, dict(hits.most_common()))
    return [step for step in steps.values() if step.hits]


def by_rule(hits: dict[str, int]) -> str:
    """`conv_batchnorm 7, gelu 2`."""
    return ", ".join(f"{rule} {count}" for rule, count in hits.items())


def operators_changed(report: Report) -> list[tuple[str, int, int]]:
    """Operators whose number changed: name, before, after; the largest changes first."""
    before, after = report.before.operators, report.after.operators
    rows = [(op, before.get(op, 0), after.get(op, 0)) for op in sorted(before.keys() | after.keys())]
    return sorted((row for row in rows if row[1] != row[2]), key=lambda row: -abs(row[2] - row[1]))


# ---- pieces for the console ----


def _sizes(report: Report) -> Table:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    alignment: list[Literal["left", "right"]] = ["left", "right", "left", "right", "right", "left"]
    for justify in alignment:
        grid.add_column(justify=justify)
    for row in quantities(report):
        style = {True: "green", False: "yellow", None: ""}[row.good]
        arrow = "->" if row.before else ""
        changed, note = text(row.change, style), text(row.note, "dim")
        grid.add_row(text(row.name, "dim"), row.before, arrow, text(row.after, "bold"), changed, note)
    return grid


def _passes(report: Report) -> Table:
    grid = table("pass", "nodes", "rewrites", "by rule", right=("nodes", "rewrites"))
    for step in summary(report):
        nodes = f"{-step.removed:+,}" if step.removed else ""
        grid.add_row(text(step.step), nodes, f"{sum(step.hits.values()):,}", text(by_rule(step.hits), "dim"))
    return grid


def _times(report: Report) -> Table:
    grid = table("pass", "nodes", "rewrites", "seconds", "share", right=("nodes", "rewrites", "seconds", "share"))
    total = report.seconds or 1.0
    for record in report.steps:
        hits = f"{sum(record.hits.values()):,}"
        nodes = f"{record.nodes_before:,} -> {record.nodes_after:,}"
        grid.add_row(text(record.step), nodes, hits, f"{record.seconds:.2f}", f"{record.seconds / total:.0%}")
    rest = report.seconds - sum(record.seconds for record in report.steps)
    grid.add_row("reading, comparing the whole", "", "", f"{rest:.2f}", f"{rest / total:.0%}")
    grid.add_row("all", "", "", f"{report.seconds:.2f}", "100%", style="bold")
    return grid


def _figures(figures: journal.Table, *, whole: bool) -> Group:
    """What a pass has to tell."""
    from rich.console import Group

    numbers = [name for name, *cells in zip(figures.columns, *figures.rows, strict=True) if all_numbers(cells)]
    grid = table(*figures.columns, right=numbers)
    shown = figures.rows if whole else figures.rows[:MOST_ROWS]
    for row in shown:
        grid.add_row(*(text(cell(value)) for value in row))
    more = len(figures.rows) - len(shown)
    said = [figures.text] * bool(figures.text) + [f"... and {more:,} more; --report FILE lists all of them"] * bool(
        more
    )
    return Group(grid, *(text(sentence(one), "dim") for one in said))


def all_numbers(cells: Iterable[object]) -> bool:
    """Whether a column holds nothing but numbers."""
    return all(value is None or isinstance(value, int | float) for value in cells)


def _words(report: Report, output: str, *, whole: bool) -> Table:
    """The sentences, each kind beside its title."""
    good = report.clean and report.whole.status is Status.VERIFIED
    brief = (lambda words: words) if whole else shortened
    rows = [(text("verdict", "dim"), text(brief(verdict(report)), "green" if good else "yellow"))]
    for title, style, items in _lists(report, output, brief=not whole):
        if len(items) > FEW and not whole:
            items[FEW:] = [f"... and {len(items) - FEW} more; --report FILE lists all of them"]
        for index, item in enumerate(items):
            rows.append((text("" if index else title, style or "dim"), text(brief(item))))
    return labelled(rows)


def _lists(report: Report, output: str, *, brief: bool) -> Iterator[tuple[str, str, list[str]]]:
    if report.budget is not None:
        yield "budget", "" if report.budget.met else "red", budget_text.limits(report.budget)
        yield "left out", "yellow", budget_text.left_out(report.budget)
    if report.cached:
        yield "cache", "", [f"The result is from the cache; it was compiled in {report.seconds:.1f} s."]
    yield "rolled back", "red", rolled_back(report, brief=brief)
    yield "unverified", "yellow", unverified(report, brief=brief)
    yield "notes", "", [sentence(note) for note in report.notes]
    yield "next", "", next_steps(report, output)
