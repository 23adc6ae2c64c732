"""An evaluation as people read it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from graphopt.ir.words import listed
from graphopt.report.bench_text import letters
from graphopt.report.style import counted, indented, table, text

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table
    from rich.text import Text

    from graphopt.measure.bootstrap import Estimate
    from graphopt.measure.evaluate import Evaluation, Measure, Score

DIGITS = 4
"""Of plain numbers."""


def layout(record: Evaluation) -> Group:
    """The evaluation for a console: a table of scores for each metric, and what may be concluded."""
    from rich.console import Group

    parts: list[RenderableType] = [_models(record), indented(_scores(record))]
    parts += [indented(text(note, "dim")) for note in _notes(record)]
    return Group(*parts)


def _models(record: Evaluation) -> Table:
    grid = table("", "")
    grid.show_header = False
    for letter, one in zip(letters(len(record.models)), record.models, strict=True):
        grid.add_row(text(letter, "bold"), text(one.model))
    return grid


def _scores(record: Evaluation) -> Table:
    """A row for each metric of each model; without the rows in which the original would be compared with itself."""
    compares = any(score.difference is not None for one in record.models for score in one.scores)
    columns = ["", " ", "score", "95 %"] + (["difference", "95 % ", "  "] if compares else [])
    grid = table(*columns, right=("score", "difference"))
    for place, metric in enumerate(record.metrics):
        name = metric.name
        for letter, one in zip(letters(len(record.models)), record.models, strict=True):
            if metric.relative and one is record.models[0] and one.model == record.reference:
                continue
            score = one.scores[place]
            cells: list[RenderableType] = [text(name, "bold"), text(letter, "bold"), shown(score.value.value, metric)]
            grid.add_row(*cells, interval(score.value, metric), *(_difference(score, metric) if compares else ()))
            name = ""
    return grid


def _difference(score: Score, metric: Measure) -> list[RenderableType]:
    if score.difference is None:
        return ["", "", ""]
    return [
        shown(score.difference.value, metric, sign=True),
        interval(score.difference, metric, sign=True),
        verdict(score.difference, metric),
    ]


def verdict(difference: Estimate, metric: Measure) -> Text:
    """Whether a difference is one: better or worse only where the interval excludes zero."""
    if difference.low == difference.high == 0:
        return text("same", "dim")
    if not difference.certain:
        return text("may be noise", "dim")
    better = (difference.value > 0) == metric.higher_is_better
    return text("better", "green") if better else text("worse", "bold red")


def shown(value: float, metric: Measure, *, sign: bool = False) -> str:
    """A score as people write it: `88.50 %`, `41.2 dB`; a difference of shares in percentage points."""
    if not math.isfinite(value):
        return str(value)
    plus = "+" if sign else ""
    if metric.unit == "%":
        return f"{100 * value:{plus}.2f} {'points' if sign else '%'}"
    if metric.unit == "dB":
        return f"{value:{plus}.1f} dB"
    return f"{value:{plus}.{DIGITS}g}"


def interval(estimate: Estimate, metric: Measure, *, sign: bool = False) -> str:
    """`84.00 to 93.00`; "" where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    low, high = (shown(end, metric, sign=sign).partition(" ")[0] for end in (estimate.low, estimate.high))
    return f"{low} to {high}"


def _notes(record: Evaluation) -> list[str]:
    notes = []
    if record.reference is not None:
        relative = listed(metric.name for metric in record.metrics if metric.relative)
        notes.append(f"{relative}: compared with {record.reference}.")
    for model, nodes in record.left_to_cpu.items():
        notes.append(f"{record.provider} left {counted(len(nodes), 'node')} of {model} to the CPU: {listed(nodes)}.")
    notes.append(
        f"{counted(record.samples, 'sample')} of {record.data}, on {record.provider} with "
        f"{counted(record.threads, 'thread')}, {record.seconds:.1f} s. Intervals come from a paired bootstrap."
    )
    return notes
