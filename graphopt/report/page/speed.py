"""What was measured of the speed of models, for the page."""

from __future__ import annotations

import math
from collections.abc import Iterator

from graphopt.measure.record import Bench, Measured, Setting
from graphopt.report.headline import PAIR, times
from graphopt.report.page import charts
from graphopt.report.page.charts import Interval, Panel, Spread
from graphopt.report.page.drawing import chart
from graphopt.report.page.html import Item, Section, Table, columns
from graphopt.report.style import counted, duration, size

MOST_SETTINGS, MOST_OPERATORS = 8, 16
COLOURS = ("before", "after", "good", "warn", "bad")
"""Of models in their order, again from the second on where there are more."""


def colour(place: int) -> str:
    """The colour of a model by its place."""
    return COLOURS[place] if place < len(COLOURS) else COLOURS[1 + (place - 1) % (len(COLOURS) - 1)]


def speed(bench: Bench | None, names: list[str]) -> Iterator[Section]:
    """Latencies, and where the time goes. names: what the models are called here."""
    if bench is None:
        return
    items = []
    for place, setting in enumerate(bench.settings[:MOST_SETTINGS]):
        title = f"Batch {setting.batch}, {counted(setting.threads, 'thread')}" if len(bench.settings) > 1 else ""
        items.append(_latency(setting, names, title, f"latency{place}"))
        if len(setting.models) > PAIR:  # else the figure at the top says it
            items.append(_ratios(setting, names, f"ratios{place}"))
        items.append(Item(table=_table(setting, names)))
    profiled = bench.settings[0]
    if any(one.operators for one in profiled.models):
        items.append(_operators(profiled, names))
    left = len(bench.settings) - MOST_SETTINGS
    words = [_how(bench)] + ([f"{left} more settings are in the report with the ending .json."] if left > 0 else [])
    yield Section("speed", "Speed", items, words=words)


def _how(bench: Bench) -> str:
    setting = bench.settings[0]
    fed = {"drawn": "drawn inputs", "given": "the given inputs"}.get(bench.feeds, f"samples of {bench.feeds}")
    kinds = ", ".join(f"{name} {kind}" for name, kind in setting.inputs.items())
    where = f"{bench.environment.processor}, {counted(setting.threads, 'thread')}, provider {bench.provider}"
    return (
        f"Measured in turns, in {counted(setting.processes, 'process', 'processes')} one after another, on {fed}: "
        f"{kinds or 'none'}. {where}."
    )


def _latency(setting: Setting, names: list[str], title: str, key: str) -> Item:
    rows = [
        Spread(name, one.latency.percentiles, _marks(one), colour(place))
        for place, (name, one) in enumerate(zip(names, setting.models, strict=True))
    ]
    said = "; ".join(f"{row.name}: " + ", ".join(f"{mark} {duration(at)}" for mark, at in row.marks) for row in rows)
    words = (
        "Time of a run: the median, a box over the middle half of all runs, a line from the 10th to the 90th percentile"
    )
    return Item(title, chart=chart(key, words, said, lambda room: charts.spreads(rows, duration, room)))


def _marks(one: Measured) -> list[tuple[str, float]]:
    found = (("p50", one.latency.p50), ("p90", one.latency.p90), ("p99", one.latency.p99))
    return [(name, value) for name, value in found if value is not None]


def _ratios(setting: Setting, names: list[str], key: str) -> Item:
    rows = []
    for place, (name, one) in enumerate(zip(names, setting.models, strict=True)):
        if one.ratio is not None:
            fold = one.ratio.inverse
            low, high = (fold.low, fold.high) if math.isfinite(fold.high) else (None, None)
            rows.append(Interval(name, fold.value, low, high, f"{times(fold.value)} as fast", colour(place)))
    said = "; ".join(f"{row.name} {row.words}" for row in rows)
    title = f"How many times as fast as {names[0]}, with the interval"
    return Item(chart=chart(key, title, said, lambda room: charts.intervals(rows, times, room, zero=1.0)))


def _table(setting: Setting, names: list[str]) -> Table:
    """The numbers; columns of which nothing is known are left out."""
    titles = ("", "p50", "p90", "p99", "samples/s", "load", "memory", "times as fast")
    rows = []
    for name, one in zip(names, setting.models, strict=True):
        quantiles = ["" if at is None else duration(at) for at in (one.latency.p50, one.latency.p90, one.latency.p99)]
        fold = None if one.ratio is None else one.ratio.inverse
        ratio = "" if fold is None else f"{times(fold.value)} ({times(fold.low)} to {times(fold.high)})"
        rows.append((name, *quantiles, f"{one.throughput:,.0f}", duration(one.load_seconds), size(one.memory), ratio))
    used = [index for index in range(len(titles)) if any(row[index] for row in rows)]
    head = columns(*(titles[index] for index in used), numbers=titles[1:])
    return Table(head, [[row[index] for index in used] for row in rows])


def _operators(setting: Setting, names: list[str]) -> Item:
    """Where the time goes, by operator as the runtime executes it: one column of bars for each model."""
    spent = [{row.operator: row.seconds for row in one.operators} for one in setting.models]
    most = {name: max(row.get(name, 0.0) for row in spent) for row in spent for name in row}
    order = sorted(most, key=lambda name: (-most[name], name))[:MOST_OPERATORS]
    panels = [
        Panel(name, [row.get(operator) for operator in order], duration, colour(place))
        for place, (name, row) in enumerate(zip(names, spent, strict=True))
    ][:4]
    said = "; ".join(f"{name} {duration(most[name])}" for name in order)
    title = (
        "Time of one run by operator, after the runtime's own fusions. Each model is profiled by itself, so on a busy "
        "machine compare shares, not columns"
    )
    drawn = chart("time-by-operator", title, said, lambda room: charts.bars(order, panels, room, alike=True))
    return Item("Where the time goes", chart=drawn)
