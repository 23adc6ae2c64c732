"""What a page holds, and how it becomes HTML. Every text is escaped on its way out, whoever wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from graphopt.report.headline import Figure
from graphopt.report.page.drawing import Chart
from graphopt.report.style import shortened, shown

LONGEST = 600
"""Characters of a text on the page; the middle of a longer one is left out."""


@dataclass(frozen=True)
class Column:
    """A column of a table. number: whether it holds numbers, which stand at the right."""

    title: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """A table. more: what it leaves out, in words."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    more: str = ""


@dataclass(frozen=True)
class Item:
    """A part of a section: a chart, with what its colours mean, facts, sentences, or a table, which may be folded."""

    title: str = ""
    chart: Chart | None = None
    keys: Sequence[tuple[str, str]] = ()
    facts: Sequence[tuple[str, str]] = ()
    lines: Sequence[str] = ()
    table: Table | None = None
    folded: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page. grade: "warn" or "bad" for what needs attention."""

    key: str
    title: str
    items: Sequence[Item]
    words: Sequence[str] = ()
    grade: str = ""


@dataclass(frozen=True)
class Page:
    """A whole page. grade: "good", "warn" or "bad", of the verdict."""

    kind: str
    title: str
    badge: str
    verdict: str
    grade: str
    figures: Sequence[Figure]
    sections: Sequence[Section]
    footer: str


def columns(*titles: str, numbers: Sequence[str] = ()) -> tuple[Column, ...]:
    """Columns with these titles; those in `numbers` hold numbers."""
    return tuple(Column(title, title in numbers) for title in titles)


def html(page: Page) -> str:
    """The page as one HTML file: no script, nothing from elsewhere."""
    environment = Environment(
        loader=PackageLoader("graphopt.report.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = resources.files(__package__).joinpath("style.css").read_text("utf-8")
    text = environment.get_template("report.html.j2").render(page=page, style=Markup(style))  # noqa: S704 - our own
    return text.lstrip()


def _visible(value: Any) -> Any:
    """What stands on the page for a value: control characters spelled, the middle of very long texts left out."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return shortened(shown(value), LONGEST)
    return value
