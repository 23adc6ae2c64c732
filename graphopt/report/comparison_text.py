"""Two models side by side, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphopt.report.comparison import SideBySide
from graphopt.report.style import change, counted, indented, number, sentence, size, table, text

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table


def layout(record: SideBySide) -> Group:
    """The comparison for a console: sizes, outputs, verdict."""
    from rich.console import Group

    parts: list[RenderableType] = [text(f"{record.a}  <->  {record.b}", "bold"), indented(_sizes(record))]
    if record.differences:
        parts.append(indented(_outputs(record)))
    parts += [indented(text(sentence(note), "dim")) for note in record.notes]
    parts.append(indented(text(verdict(record), "green" if record.verdict == "agree" else "bold red")))
    return Group(*parts)


def verdict(record: SideBySide) -> str:
    """Whether B stands for A, in sentences."""
    runs = counted(len(record.feeds), "set of inputs", "sets of inputs")
    if record.verdict == "agree":
        worst = max(record.differences, key=lambda one: one.k)
        how = "exactly" if worst.k == 0 else f"within {record.contract}: at most {number(worst.k)} rounding errors"
        return f"B agrees with A {how}, on {runs}."
    if record.verdict == "unverified":
        return sentence(f"It cannot be said whether B agrees with A: {record.reason}")
    return sentence(f"B differs from A: {record.reason}")


def _sizes(record: SideBySide) -> Table:
    a, b = record.sizes
    grid = table("", "A", "B", "", right=("A", "B", ""))
    rows = [("nodes", a.all_nodes, b.all_nodes, "{:,}".format), ("weights", a.weight_bytes, b.weight_bytes, size)]
    for name, old, new, spell in rows:
        grid.add_row(text(name, "dim"), spell(old), spell(new), change(old, new))
    grid.add_row(text("opset", "dim"), *(str(one.opsets.get("", "-")) for one in record.sizes), "")
    return grid


def _outputs(record: SideBySide) -> Table:
    columns = ("output", "type", "max |A|", "max |A-B|", "rounding errors", "SQNR dB", "cosine", "")
    grid = table(*columns, right=columns[2:-1])
    for one in record.worst():
        cosine = "-" if one.cosine is None else f"{one.cosine:.6f}"
        numbers = (number(one.largest), number(one.max_abs), number(one.k), number(one.sqnr), cosine)
        mark = text("ok", "green") if one.ok else text("differs", "bold red")
        grid.add_row(text(one.output), text(one.type, "dim"), *numbers, mark)
    return grid
