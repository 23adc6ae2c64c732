"""How reports speak: numbers, names out of model files, and sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

WIDTH = 100
"""Columns of a report as plain text."""
LONG = 300
"""Characters of a sentence on a console; a report in a file has all of them."""
MINUTES = 120.0
"""Seconds from which on a time is told in minutes."""


def shown(text: str, *, lines: bool = False) -> str:
    """`text` with everything escaped that a terminal might obey or hide, except, if `lines`, the ends of lines."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or (lines and c == "\n") else c.encode("unicode_escape").decode() for c in text)


def text(words: str, style: str = "") -> Text:
    """Words for a console, escaped, never markup."""
    from rich.text import Text

    return Text(shown(words), style)


def plain(what: RenderableType, width: int = WIDTH) -> str:
    """What a console would show, as text without colours, ends of lines trimmed."""
    from rich.console import Console

    out = StringIO()
    Console(file=out, width=width, color_system=None, force_terminal=False, markup=False, emoji=False).print(what)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def indented(what: RenderableType) -> RenderableType:
    """A paragraph of a report: an empty line before it, two blanks at its left."""
    from rich.padding import Padding

    return Padding(what, (1, 0, 0, 2))


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """A table without lines; the columns named in `right` hold numbers."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def labelled(rows: Iterable[tuple[str | Text, str | Text]]) -> Table:
    """Facts, each beside its label; nothing is cut. Plain texts are escaped, and labels dim."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for label, fact in rows:
        made.add_row(
            text(label, "dim") if isinstance(label, str) else label, text(fact) if isinstance(fact, str) else fact
        )
    return made


def size(count: int) -> str:
    """Bytes as people say them: `1.1 MB`."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"


def amount(count: float) -> str:
    """A large number as people say it: `41.2 M`."""
    for unit, scale in (("T", 10**12), ("G", 10**9), ("M", 10**6)):
        if count >= scale:
            return f"{count / scale:.2f} {unit}"
    return f"{count:,.0f}"


def duration(seconds: float) -> str:
    """A time as people say it: `1.24 ms`, with three digits."""
    if seconds >= MINUTES:
        return f"{seconds / 60:.1f} min"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.9995 * scale:
            value = seconds / scale
            return f"{value:#.3g}".rstrip(".") + f" {unit}"
    return f"{seconds * 1e9:.0f} ns" if seconds else "0 s"


def change(before: float, after: float) -> str:
    """The change in percent: `-57 %`; "" for none."""
    if before == after:
        return ""
    if before == 0:
        return "new"
    percent = 100 * (after - before) / before
    return f"{percent:+.0f} %" if abs(percent) >= 1 else f"{percent:+.1g} %"


def number(value: float | None) -> str:
    """A measured number, short."""
    return "-" if value is None or math.isnan(value) else f"{value:.3g}"


def cell(value: str | float | None) -> str:
    """A cell of a table: numbers short, nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,}" if isinstance(value, int) else number(value)


def counted(count: int, one: str, many: str = "") -> str:
    """`1 rewrite`, `2 rewrites`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def shortened(words: str, most: int = LONG) -> str:
    """`words`, without their middle if they are long."""
    half = most // 2
    return words if len(words) <= most else f"{words[:half].rstrip()} ... {words[-half:].lstrip()}"


def sentence(words: str) -> str:
    """`words` with a full stop, unless it has an end."""
    words = words.strip()
    return words if not words or words[-1] in ".!?" else words + "."
