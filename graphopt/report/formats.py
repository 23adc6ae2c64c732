"""The formats in which reports can be written, by the ending of their files' names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from graphopt.errors import UsageError
from graphopt.extras import need
from graphopt.report import bench_text, evaluation_text, markdown, text
from graphopt.report.encode import to_json
from graphopt.report.record import Report
from graphopt.report.style import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

    from graphopt.measure.evaluate import Evaluation
    from graphopt.measure.record import Bench

Record = TypeVar("Record")
Formats = Mapping[str, Callable[[Record], str]]


def _page(report: Report) -> str:
    from graphopt.report.page.compile import render

    return render(report)


def _bench_page(record: Bench) -> str:
    from graphopt.report.page.measured import bench_page

    return bench_page(record)


def _evaluation_page(record: Evaluation) -> str:
    from graphopt.report.page.measured import evaluation_page

    return evaluation_page(record)


def _quoted(what: RenderableType) -> str:
    """What a console shows, as a block of Markdown."""
    return "".join(f"    {line}".rstrip() + "\n" for line in plain(what).splitlines())


FORMATS: Formats[Report] = {
    ".json": lambda report: report.to_json() + "\n",
    ".html": _page,
    ".md": markdown.render,
    ".txt": lambda report: text.render(report, whole=True) + "\n",
}
BENCH: Formats[Bench] = {
    ".json": lambda record: to_json(record) + "\n",
    ".html": _bench_page,
    ".md": lambda record: _quoted(bench_text.layout(record)),
    ".txt": lambda record: plain(bench_text.layout(record)) + "\n",
}
EVALUATION: Formats[Evaluation] = {
    ".json": lambda record: to_json(record) + "\n",
    ".html": _evaluation_page,
    ".md": lambda record: _quoted(evaluation_text.layout(record)),
    ".txt": lambda record: plain(evaluation_text.layout(record)) + "\n",
}


def formatter(path: Path, formats: Formats[Record]) -> Callable[[Record], str]:
    """What writes a record into a file of this name.

    Raises UsageError with the known endings, or with what to install for this one.
    """
    if path.suffix not in formats:
        raise UsageError(f"{path}: the name of a report must end in {', '.join(formats)}")
    if path.suffix == ".html":
        need("report", "an HTML report", "jinja2", "matplotlib")
    return formats[path.suffix]
