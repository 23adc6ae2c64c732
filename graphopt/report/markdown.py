"""The report as Markdown, for pull requests and build logs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphopt.pipeline.journal import Table
from graphopt.report import budget_text, text
from graphopt.report.headline import figures
from graphopt.report.kept import Kept, by_rule
from graphopt.report.layers import heaviest
from graphopt.report.quantities import quantities
from graphopt.report.record import Report
from graphopt.report.style import cell, counted, duration, number, sentence, shown

MOST_LAYERS = 20


def render(report: Report) -> str:
    """The whole report: the figures, sizes, verdict, everything undone, unverified or noted, passes, rules, layers."""
    judged = figures(report)
    rows = [(one.name, one.before, one.after, f"{one.change} {one.note}".strip()) for one in quantities(report)]
    passes = [
        (step.step, f"{-step.removed:+,}", f"{step.seconds:.2f}", text.by_rule(step.hits))
        for step in text.summary(report)
    ]
    operators = [(op, f"{old:,}", f"{new:,}") for op, old, new in text.operators_changed(report)]
    parts = [
        f"# {_escaped(report.model)}",
        _table([one.title for one in judged], [[one.value for one in judged], ["; ".join(f.notes) for f in judged]]),
        _table(("", "before", "after", "change"), rows),
        _escaped(text.verdict(report)),
        *_section("Budget", budget_text.limits(report.budget) if report.budget else ()),
        *_section("Left out", budget_text.left_out(report.budget) if report.budget else ()),
        *_section("Rolled back", text.rolled_back(report)),
        *_section("Unverified", text.unverified(report)),
        *_section("Notes", map(sentence, report.notes)),
        *_titled("Passes", ("pass", "nodes", "seconds", "rewrites by rule"), passes),
        *_titled("Rules", ("rule", "rewrites", "contract", "largest error", "verdict"), map(_rule, by_rule(report))),
        *_titled("Operators", ("operator", "before", "after"), operators),
        *(part for one in report.tables for part in _figures(one)),
        *_titled("Layers", ("layer", "parameters", "multiply-adds", "time", "made by"), _layers(report)),
        _made(report),
    ]
    return "\n\n".join(parts) + "\n"


def _rule(rule: Kept) -> tuple[str, ...]:
    verdicts = ", ".join(f"{count:,} {words}" for words, count in rule.verdicts.items())
    return (rule.rule, f"{rule.count:,}", rule.contract, number(rule.worst), verdicts)


def _layers(report: Report) -> list[tuple[str, ...]]:
    """The layers that take most, as rows."""
    rows: list[tuple[str, ...]] = []
    for one in heaviest(report.layers, MOST_LAYERS):
        macs = "unknown" if one.macs is None else f"{one.macs:,}"
        time = "" if one.seconds is None else duration(one.seconds)
        rows.append((f"{one.name} ({one.operator})", f"{one.parameters:,}", macs, time, one.rule))
    return rows


def _made(report: Report) -> str:
    """How and where."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    found = report.environment
    machine = f" On {_escaped(found.processor)}, {counted(found.cores, 'core')}." if found is not None else ""
    return (
        f"Pipeline `{report.pipeline}`, verification level `{report.level}`, {report.seconds:.2f} s; {versions}."
        f"{machine}"
    )


def _titled(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> tuple[str, ...]:
    rows = list(rows)
    return (f"## {title}", _table(header, rows)) if rows else ()


def _figures(table: Table) -> tuple[str, ...]:
    """What a pass has to tell."""
    said = (_escaped(sentence(table.text)),) if table.text else ()
    return (*_titled(_escaped(table.title), table.columns, [tuple(map(cell, row)) for row in table.rows]), *said)


def _section(title: str, items: Iterable[str]) -> tuple[str, ...]:
    lines = [f"- {_escaped(item)}" for item in items]
    return (f"## {title}", "\n".join(lines)) if lines else ()


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 2), "---"], *([_escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(words: str) -> str:
    """Words that Markdown shows as they are."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in shown(words))
