"""The formats in which a report can be written, by the ending of its file's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from graphopt.errors import UsageError
from graphopt.extras import need
from graphopt.report import markdown, text
from graphopt.report.record import Report


def page(report: Report) -> str:
    """The report as one HTML file."""
    from graphopt.report.page.compile import render

    return render(report)


FORMATS: dict[str, Callable[[Report], str]] = {
    ".json": lambda report: report.to_json() + "\n",
    ".html": page,
    ".md": markdown.render,
    ".txt": lambda report: text.render(report, whole=True) + "\n",
}


def formatter(path: Path) -> Callable[[Report], str]:
    """What writes a report into a file of this name. Raises UsageError with the known endings, or with what to
    install for this one."""
    if path.suffix not in FORMATS:
        raise UsageError(f"{path}: the name of a report must end in {', '.join(FORMATS)}")
    if path.suffix == ".html":
        need("report", "an HTML report", "jinja2", "matplotlib")
    return FORMATS[path.suffix]
