"""The three figures by which compression is judged, for every format: compression ratio, speed-up, accuracy change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from graphopt.report.style import size

if TYPE_CHECKING:
    from graphopt.report.record import Report

Grade = Literal["good", "bad", "none", ""]
NOT_MEASURED = "not measured"
NOTHING = 0.005
"""A ratio this close to 1 is no news."""
TIMES = "\N{MULTIPLICATION SIGN}"
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
    return compression(report), missing_speed(), missing_accuracy()


def compression(report: Report) -> Figure:
    """How many times smaller the result is: its files, or, where none were written, its weights."""
    before, after, what = report.before.file_bytes, report.after.file_bytes, "on disk"
    if before is None or after is None:
        before, after, what = report.before.weight_bytes, report.after.weight_bytes, "of weights"
    title = "Compression ratio"
    if not before or not after:
        return Figure("compression", title, NOT_MEASURED, ("the model has no weights",), "none")
    return Figure(
        "compression", title, times(before / after), (f"{size(before)} → {size(after)} {what}",), _grade(before / after)
    )


def missing_speed() -> Figure:
    """What stands in the place of a speed-up that nobody measured."""
    return Figure("speed", "Speed-up", NOT_MEASURED, ("say --bench to measure both models on this machine",), "none")


def missing_accuracy() -> Figure:
    """What stands in the place of a change of accuracy that nobody measured."""
    words = "say --data FILE --metric NAME to measure both models on your data"
    return Figure("accuracy", "Accuracy change", NOT_MEASURED, (words,), "none")


def times(ratio: float) -> str:
    """A ratio as people say it: `1.83×`."""
    return f"{ratio:,.1f}{TIMES}" if ratio >= LARGE else f"{ratio:.2f}{TIMES}"


def _grade(ratio: float) -> Grade:
    return "good" if ratio > 1 + NOTHING else "bad" if ratio < 1 - NOTHING else ""
