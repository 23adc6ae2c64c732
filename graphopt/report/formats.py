"""The formats in which a report can be written, by the ending of its file's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from graphopt.errors import UsageError
from graphopt.report import markdown, text
from graphopt.report.record import Report

FORMATS: dict[str, Callable[[Report], str]] = {
    ".json": lambda report: report.to_json() + "\n",
    ".md": markdown.render,
    ".txt": lambda report: text.render(report, whole=True) + "\n",
}


def formatter(path: Path) -> Callable[[Report], str]:
    """What writes a report into a file of this name. Raises UsageError with the known endings."""
    if path.suffix not in FORMATS:
        raise UsageError(f"{path}: the name of a report must end in {', '.join(FORMATS)}")
    return FORMATS[path.suffix]
