"""What a compile is about, before and after: counts and sizes, and, where they were measured, latency and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from graphopt.report.evaluation_text import interval, shown
from graphopt.report.headline import NOISE, PAIR, times
from graphopt.report.record import Report
from graphopt.report.style import change, duration, size


@dataclass(frozen=True)
class Quantity:
    """One row, in words. note: the interval of the change. good: for the better; None for no news."""

    name: str
    before: str
    after: str
    change: str
    note: str = ""
    good: bool | None = None


def quantities(report: Report) -> list[Quantity]:
    """The rows that a report begins with, in every format."""
    return [*_sizes(report), *_latency(report), *_scores(report)]


def _sizes(report: Report) -> Iterator[Quantity]:
    before, after = report.before, report.after
    count: Callable[[int], str] = "{:,}".format
    yield _counted("nodes", before.nodes, after.nodes, count)
    if before.all_nodes != before.nodes or after.all_nodes != after.nodes:
        yield _counted("with subgraphs", before.all_nodes, after.all_nodes, count)
    if before.weight_bytes or after.weight_bytes:
        yield _counted("weights", before.weight_bytes, after.weight_bytes, size)
    if before.file_bytes and after.file_bytes:
        yield _counted("file", before.file_bytes, after.file_bytes, size)


def _counted(name: str, before: int, after: int, spell: Callable[[int], str]) -> Quantity:
    good = None if before == after else after < before
    return Quantity(name, spell(before), spell(after), change(before, after), good=good)


def _latency(report: Report) -> Iterator[Quantity]:
    models = () if report.bench is None else report.bench.settings[0].models
    if len(models) < PAIR or models[1].ratio is None:
        return
    fold = models[1].ratio.inverse
    note = f"({times(fold.low)} to {times(fold.high)}{'' if fold.differs else ', ' + NOISE})"
    good = fold.value > 1 if fold.differs else None
    before, after = (duration(one.latency.p50) for one in models[:PAIR])
    yield Quantity("latency", before, after, f"{times(fold.value)} as fast", note, good)


def _scores(report: Report) -> Iterator[Quantity]:
    found = report.evaluation
    if found is None or len(found.models) < PAIR:
        return
    for metric, old, new in zip(found.metrics, found.models[0].scores, found.models[1].scores, strict=True):
        before, after = shown(old.value.value, metric), shown(new.value.value, metric)
        gap = new.difference
        if gap is None:
            yield Quantity(metric.name, "", after, "", f"({interval(new.value, metric)})")
            continue
        same = gap.low == gap.high == 0
        note = "" if same else f"({interval(gap, metric, sign=True)}{'' if gap.certain else ', ' + NOISE})"
        good = (gap.value > 0) == metric.higher_is_better if gap.certain else None
        yield Quantity(metric.name, before, after, "" if same else shown(gap.value, metric, sign=True), note, good)
