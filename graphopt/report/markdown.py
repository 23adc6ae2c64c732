"""The report as Markdown, for pull requests and build logs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from graphopt.report import text
from graphopt.report.record import Report
from graphopt.report.style import change, sentence, shown, size


def render(report: Report) -> str:
    """The whole report: sizes, operators, passes, verdict, everything undone, unverified or noted."""
    before, after = report.before, report.after
    sizes = [
        _row("nodes", before.nodes, after.nodes, "{:,}".format),
        _row("with subgraphs", before.all_nodes, after.all_nodes, "{:,}".format),
        _row("weights", before.weight_bytes, after.weight_bytes, size),
    ]
    passes = [
        (step.step, f"{-step.removed:+,}", f"{step.seconds:.2f}", text.by_rule(step.hits))
        for step in text.summary(report)
    ]
    operators = [(op, f"{old:,}", f"{new:,}") for op, old, new in text.operators_changed(report)]
    parts = [
        f"# {_escaped(report.model)}",
        _table(("", "before", "after", ""), sizes),
        _escaped(text.verdict(report)),
        *_section("Rolled back", text.rolled_back(report)),
        *_section("Unverified", text.unverified(report)),
        *_section("Notes", map(sentence, report.notes)),
        *(("## Passes", _table(("pass", "nodes", "seconds", "rewrites by rule"), passes)) if passes else ()),
        *(("## Operators", _table(("operator", "before", "after"), operators)) if operators else ()),
        f"Pipeline `{report.pipeline}`, verification level `{report.level}`, {report.seconds:.2f} s; "
        + ", ".join(f"{name} {version}" for name, version in report.versions.items())
        + ".",
    ]
    return "\n\n".join(parts) + "\n"


def _row(name: str, before: int, after: int, spell: Callable[[int], str]) -> tuple[str, ...]:
    return (name, spell(before), spell(after), change(before, after))


def _section(title: str, items: Iterable[str]) -> tuple[str, ...]:
    lines = [f"- {_escaped(item)}" for item in items]
    return (f"## {title}", "\n".join(lines)) if lines else ()


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 2), "---"], *([_escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(words: str) -> str:
    """Words that Markdown shows as they are."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in shown(words))
