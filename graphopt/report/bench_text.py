"""A benchmark as people read it."""

from __future__ import annotations

from string import ascii_uppercase
from typing import TYPE_CHECKING

from graphopt.ir.words import listed
from graphopt.report.style import change, counted, duration, indented, size, table, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Group, RenderableType
    from rich.table import Table

    from graphopt.measure.environment import Environment
    from graphopt.measure.record import Bench, Setting
    from graphopt.measure.statistics import Ratio

MOST_OPERATORS = 12
MOST_DIGITS = 4


def layout(record: Bench) -> Group:
    """The benchmark for a console: the models, a table for each setting, what is faster, and where that was."""
    from rich.console import Group

    parts: list[RenderableType] = [_models(record)]
    for setting in record.settings:
        parts += [indented(part) for part in _setting(setting)]
    parts += [indented(text(note, "dim")) for note in _notes(record)]
    return Group(*parts)


def verdict(ratio: Ratio, name: str, first: str) -> str:
    """What a ratio of latencies says of the model `name` beside the model `first`."""
    if not ratio.differs:
        return f"No difference beyond noise: {name} is {spelled(ratio.inverse)} times as fast as {first}."
    if ratio.value < 1:
        return f"{name} is {spelled(ratio.inverse)} times as fast as {first}."
    return f"{name} takes {spelled(ratio)} times as long as {first}."


def spelled(ratio: Ratio) -> str:
    """`1.32 (1.29 to 1.35)`, with so many digits that a difference from 1 shows."""
    ends = (ratio.value, ratio.low, ratio.high)
    enough = (n for n in range(2, MOST_DIGITS) if not ratio.differs or all(round(end, n) != 1 for end in ends))
    digits = next(enough, MOST_DIGITS)
    value, low, high = (f"{end:.{digits}f}" for end in ends)
    return f"{value} ({low} to {high})"


def _three_digits(number: float) -> str:
    """At least three digits, none of them behind a number of three: `4,850`, `62.7`, `0.123`."""
    return f"{number:,.{max(0, 3 - len(str(int(number))))}f}"


def letters(count: int) -> list[str]:
    """A, B, C and so on; beyond Z numbers."""
    return [ascii_uppercase[i] if i < len(ascii_uppercase) else str(i + 1) for i in range(count)]


def _models(record: Bench) -> Table:
    first = record.settings[0].models
    grid = table("", "model", "file", "", right=("file",))
    for letter, one in zip(letters(len(first)), first, strict=True):
        saved = change(first[0].file_bytes, one.file_bytes)
        grid.add_row(text(letter, "bold"), text(one.model), size(one.file_bytes), saved)
    return grid


def _setting(setting: Setting) -> list[RenderableType]:
    names = letters(len(setting.models))
    inputs = listed(f"{name} {kind}" for name, kind in setting.inputs.items())
    title = f"batch {setting.batch}, {counted(setting.threads, 'thread')}; {inputs or 'no inputs'}"
    parts: list[RenderableType] = [text(title, "bold"), _figures(setting, names)]
    if any(one.operators for one in setting.models):
        parts.append(_operators(setting, names))
    for name, one in zip(names[1:], setting.models[1:], strict=True):
        if one.ratio is not None:
            style = "" if not one.ratio.differs else "green" if one.ratio.value < 1 else "red"
            parts.append(text(verdict(one.ratio, name, names[0]), style))
    return parts


def _figures(setting: Setting, names: Sequence[str]) -> Table:
    columns = ("", "p50", "p90", "p99", "samples/s", "load", "memory", "times as fast")
    grid = table(*columns, right=columns[1:])
    for name, one in zip(names, setting.models, strict=True):
        quantiles = (one.latency.p50, one.latency.p90, one.latency.p99)
        times = ["-" if seconds is None else duration(seconds) for seconds in quantiles]
        ratio = "" if one.ratio is None else spelled(one.ratio.inverse)
        rest = (_three_digits(one.throughput), duration(one.load_seconds), size(one.memory))
        grid.add_row(text(name, "bold"), *times, *rest, ratio)
    return grid


def _operators(setting: Setting, names: Sequence[str]) -> Table:
    """The slowest operators of every model, side by side."""
    columns = ["operator", *(f"{name} {what}" for name in names for what in ("nodes", "time"))]
    grid = table(*columns, right=columns[1:])
    rows = [{one.operator: one for one in model.operators} for model in setting.models]
    most = {name: max(row[name].seconds for row in rows if name in row) for row in rows for name in row}
    for name in sorted(most, key=lambda one: (-most[one], one))[:MOST_OPERATORS]:
        cells = [(f"{row[name].nodes:,}", duration(row[name].seconds)) if name in row else ("", "") for row in rows]
        grid.add_row(text(name), *(cell for pair in cells for cell in pair))
    return grid


def _notes(record: Bench) -> list[str]:
    notes = [note for setting in record.settings for note in (*_assumed(setting), *_left(record.provider, setting))]
    return [*dict.fromkeys(notes), _how(record), _where(record.environment)]


def _assumed(setting: Setting) -> list[str]:
    advice = "was made up: give the size that counts for you with"
    return [f"{name}={setting.sizes[name]} {advice} --dim {name}=N." for name in setting.assumed]


def _left(provider: str, setting: Setting) -> Iterator[str]:
    for letter, one in zip(letters(len(setting.models)), setting.models, strict=True):
        if one.left_to_cpu:
            nodes = listed(map(str, one.left_to_cpu))
            yield f"{provider} left {counted(len(one.left_to_cpu), 'node')} of {letter} to the CPU: {nodes}."


def _how(record: Bench) -> str:
    processes = sum(setting.processes for setting in record.settings)
    rounds = sum(setting.rounds for setting in record.settings)
    ratios = [one.ratio for one in record.results if one.ratio is not None]
    told = (
        f"; of such intervals {100 * min(one.confidence for one in ratios):.0f} % hold the true ratio" if ratios else ""
    )
    return f"{counted(rounds, 'round')} in {counted(processes, 'process', 'processes')}, {record.seconds:.0f} s{told}."


def _where(machine: Environment) -> str:
    busy = machine.load > machine.cores / 2
    load = f"load {machine.load:.1f}" + (", so latencies are those of a busy machine" if busy else "")
    facts = [machine.processor, counted(machine.cores, "core"), " ".join(machine.features), load]
    return "; ".join(fact for fact in [*facts, f"onnxruntime {machine.versions['onnxruntime']}"] if fact) + "."
