"""The three figures by which compression is judged, for every format: compression ratio, speed-up, accuracy change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from graphopt.report.evaluation_text import interval, shown
from graphopt.report.style import duration, size

if TYPE_CHECKING:
    from graphopt.measure.bootstrap import Estimate
    from graphopt.measure.evaluate import Evaluation, Measure
    from graphopt.measure.record import Bench
    from graphopt.report.record import Report

Grade = Literal["good", "bad", "none", ""]
NOT_MEASURED = "not measured"
NOTHING = 0.005
"""A ratio this close to 1 is no news."""
TIMES = "\N{MULTIPLICATION SIGN}"
NOISE = "no difference beyond noise"
PAIR = 2
LARGE = 10
"""Ratios from which on whole numbers and a digit are enough."""


@dataclass(frozen=True)
class Figure:
    """One figure. grade: whether it is "good" or "bad" news, "none" if it was not measured, "" for no news."""

    key: str
    title: str
    value: str
    notes: tuple[str, ...]
    grade: Grade = ""


def figures(report: Report) -> tuple[Figure, Figure, Figure]:
    """The figures of a compile."""
    return compression(report), speed(report.bench), accuracy(report.evaluation)


def compression(report: Report) -> Figure:
    """How many times smaller the result is: its files, or, where none were written, its weights."""
    before, after, what = report.before.file_bytes, report.after.file_bytes, "on disk"
    if before is None or after is None:
        before, after, what = report.before.weight_bytes, report.after.weight_bytes, "of weights"
    return smaller(before, after, what)


def smaller(before: int, after: int, what: str) -> Figure:
    """How many times smaller something is than before, in bytes."""
    title = "Compression ratio"
    if not before or not after:
        return Figure("compression", title, NOT_MEASURED, ("the model has no weights",), "none")
    notes = (f"{size(before)} → {size(after)} {what}",)
    return Figure("compression", title, times(before / after), notes, _grade(before / after))


def missing(key: str, title: str, words: str) -> Figure:
    """What stands in the place of a figure that nobody measured. words: how it would be."""
    return Figure(key, title, NOT_MEASURED, (words,), "none")


def speed(bench: Bench | None) -> Figure:
    """How many times as fast the second model of a benchmark is as the first, in its first setting."""
    title = "Speed-up"
    setting = None if bench is None else bench.settings[0]
    ratio = None if setting is None or len(setting.models) < PAIR else setting.models[1].ratio
    if setting is None or ratio is None:
        return Figure("speed", title, NOT_MEASURED, ("say --measure to time both models on this machine",), "none")
    first, second = setting.models[:2]
    fold = ratio.inverse
    grade: Grade = "" if not fold.differs else "good" if fold.value > 1 else "bad"
    notes = (
        f"{duration(first.latency.p50)} → {duration(second.latency.p50)} at batch {setting.batch}",
        f"{100 * fold.confidence:.0f} % interval {times(fold.low)} to {times(fold.high)}",
        "" if fold.differs else NOISE,
    )
    return Figure("speed", title, times(fold.value), tuple(filter(None, notes)), grade)


def accuracy(evaluation: Evaluation | None) -> Figure:
    """How the first metric of an evaluation changes from its first model to the second."""
    title = "Accuracy change"
    if evaluation is None or len(evaluation.models) < PAIR:
        words = "say --data DATA --metric NAME to measure both models on your data"
        return Figure("accuracy", title, NOT_MEASURED, (words,), "none")
    metric = evaluation.metrics[0]
    old, new = (model.scores[0] for model in evaluation.models[:PAIR])
    samples = f"{evaluation.samples:,} samples of {evaluation.data}"
    gap, value = new.difference, shown(new.value.value, metric)
    if gap is None:
        notes = (f"{metric.name}, which compares with the original", _interval(new.value, metric), samples)
        return Figure("accuracy", title, value, tuple(filter(None, notes)))
    better = (gap.value > 0) == metric.higher_is_better
    grade: Grade = "" if not gap.certain else "good" if better else "bad"
    change = f"{metric.name} {shown(old.value.value, metric)} → {value}"
    if _same(gap):
        return Figure("accuracy", title, "no change", (change, samples))
    found = (change, _interval(gap, metric, sign=True), "" if gap.certain else NOISE, samples)
    return Figure("accuracy", title, shown(gap.value, metric, sign=True), tuple(filter(None, found)), grade)


def _same(gap: Estimate) -> bool:
    """Whether every draw gave the same."""
    return gap.value == gap.low == gap.high == 0


def _interval(found: Estimate, metric: Measure, *, sign: bool = False) -> str:
    ends = interval(found, metric, sign=sign)
    return f"95 % interval {ends}" if ends else ""


def times(ratio: float) -> str:
    """A ratio as people say it: `1.83×`."""
    return f"{ratio:,.1f}{TIMES}" if ratio >= LARGE else f"{ratio:.2f}{TIMES}"


def _grade(ratio: float) -> Grade:
    return "good" if ratio > 1 + NOTHING else "bad" if ratio < 1 - NOTHING else ""
