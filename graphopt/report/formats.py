"""The formats in which reports can be written, by the ending of their files' names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from graphopt.errors import UsageError
from graphopt.extras import need
from graphopt.report.encode import to_json

if TYPE_CHECKING:
    from rich.console import Group

    from graphopt.measure.evaluate import Evaluation
    from graphopt.measure.record import Bench
    from graphopt.report.record import Report

Record = TypeVar("Record")
Formats = Mapping[str, Callable[[Record], str]]


def _markdown(report: Report) -> str:
    from graphopt.report import markdown

    return markdown.render(report)


def _text(report: Report) -> str:
    from graphopt.report import text

    return text.render(report, whole=True) + "\n"


def _page(report: Report) -> str:
    from graphopt.report.page.compile import render

    return render(report)


def _bench_page(record: Bench) -> str:
    from graphopt.report.page.measured import bench_page

    return bench_page(record)


def _evaluation_page(record: Evaluation) -> str:
    from graphopt.report.page.measured import evaluation_page

    return evaluation_page(record)


def _bench_layout(record: Bench) -> Group:
    from graphopt.report import bench_text

    return bench_text.layout(record)


def _evaluation_layout(record: Evaluation) -> Group:
    from graphopt.report import evaluation_text

    return evaluation_text.layout(record)


def _plain(what: Group) -> str:
    """What a console shows, as text."""
    from graphopt.report.style import plain

    return plain(what) + "\n"


def _quoted(what: Group) -> str:
    """What a console shows, as a block of Markdown."""
    from graphopt.report.style import plain

    return "".join(f"    {line}".rstrip() + "\n" for line in plain(what).splitlines())


FORMATS: Formats[Report] = {
    ".json": lambda report: report.to_json() + "\n",
    ".html": _page,
    ".md": _markdown,
    ".txt": _text,
}
BENCH: Formats[Bench] = {
    ".json": lambda record: to_json(record) + "\n",
    ".html": _bench_page,
    ".md": lambda record: _quoted(_bench_layout(record)),
    ".txt": lambda record: _plain(_bench_layout(record)),
}
EVALUATION: Formats[Evaluation] = {
    ".json": lambda record: to_json(record) + "\n",
    ".html": _evaluation_page,
    ".md": lambda record: _quoted(_evaluation_layout(record)),
    ".txt": lambda record: _plain(_evaluation_layout(record)),
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
