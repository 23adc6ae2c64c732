"""The page about a compile."""

from __future__ import annotations

from collections.abc import Iterator, Sized

from graphopt.pipeline.journal import Status
from graphopt.report import kept, text
from graphopt.report.headline import TIMES, figures
from graphopt.report.kept import Kept
from graphopt.report.layers import Layer, heaviest
from graphopt.report.page import charts
from graphopt.report.page.charts import Pair, Panel, Promise
from graphopt.report.page.drawing import Chart, Room, chart
from graphopt.report.page.html import Item, Page, Section, Table, columns, html
from graphopt.report.page.limits import limits
from graphopt.report.page.machine import machine
from graphopt.report.page.scores import scores
from graphopt.report.page.speed import speed
from graphopt.report.record import Report
from graphopt.report.style import cell, counted, duration, number, sentence, size

MOST_OPERATORS, MOST_LAYERS, MOST_RULES, MOST_ROWS = 14, 20, 24, 300
"""Rows of charts and tables; what is left out is counted, and is in the JSON."""
FOOTER = "Made by graphopt. Whatever is cut short here is whole in the report with the ending .json."
KEYS = (("before", "before"), ("after", "after"))
BADGES = {"good": "verified", "warn": "not wholly verified", "bad": "rolled back"}


def render(report: Report) -> str:
    """The report as one HTML file."""
    return html(page(report))


def page(report: Report) -> Page:
    """What the page holds."""
    names = ["before", "after"]
    sections = [
        *attention(report),
        *before_after(report),
        *speed(report.bench, names),
        *scores(report.evaluation, names),
        *limits(report.budget),
        *passes(report),
        *told(report),
        *layer_by_layer(report),
        *surroundings(report),
    ]
    grade = "bad" if report.rolled_back else "good" if report.clean and _checked(report) else "warn"
    badge = BADGES[grade] if report.rewrites or report.rolled_back else "unchanged"
    return Page(
        kind="graphopt optimize",
        title=report.model,
        badge=badge,
        verdict=text.verdict(report),
        grade=grade,
        figures=figures(report),
        sections=sections,
        footer=FOOTER,
    )


def _checked(report: Report) -> bool:
    return report.whole.status is Status.VERIFIED


# ---- before and after ----


def before_after(report: Report) -> Iterator[Section]:
    """Sizes, and what became of the operators."""
    items = [Item(chart=_sizes(report), keys=KEYS)]
    changed = text.operators_changed(report)
    if changed:
        items.append(Item("Operators", chart=_operators(changed), keys=KEYS))
    every = _every_operator(report)
    titles = ("operator", "before", "after")
    table = Table(columns(*titles, numbers=titles[1:]), every[:MOST_ROWS], _more(every, MOST_ROWS, "operator"))
    items.append(Item(table=table, folded=f"All operators ({counted(len(every), 'kind')})"))
    yield Section("before-after", "Before and after", items)


def _sizes(report: Report) -> Chart:
    before, after = report.before, report.after
    rows = []
    if before.file_bytes and after.file_bytes:
        rows.append(Pair("file", before.file_bytes, after.file_bytes, _bytes))
    if before.weight_bytes or after.weight_bytes:
        rows.append(Pair("weights", before.weight_bytes, after.weight_bytes, _bytes))
    rows.append(Pair("nodes", before.all_nodes, after.all_nodes, _count))
    said = "; ".join(f"{row.name} {row.spell(row.before)} before, {row.spell(row.after)} after" for row in rows)
    return chart("sizes", "Size of the model", f"Size of the model: {said}", lambda room: charts.pairs(rows, room))


def _operators(changed: list[tuple[str, int, int]]) -> Chart:
    rows = changed[:MOST_OPERATORS]
    title = "Operators whose number changed" + (f", the first {len(rows)}" if len(rows) < len(changed) else "")
    said = "; ".join(f"{name} {before} to {after}" for name, before, after in rows)
    return chart("operators", title, f"{title}: {said}", lambda room: charts.operators(rows, room))


def _every_operator(report: Report) -> list[tuple[str, str, str]]:
    before, after = report.before.operators, report.after.operators
    names = sorted(before.keys() | after.keys(), key=lambda name: (-max(before.get(name, 0), after.get(name, 0)), name))
    return [(name, _count(before.get(name, 0)), _count(after.get(name, 0))) for name in names]


# ---- what needs attention ----


def attention(report: Report) -> Iterator[Section]:
    """Everything undone, unverified or noted."""
    lists = (("Rolled back", text.rolled_back(report)), ("Unverified", text.unverified(report)))
    items = [Item(title, lines=_cut(lines)) for title, lines in lists if lines]
    if report.whole.status is Status.UNVERIFIED:
        items.append(Item("The whole model", lines=[text.whole_verdict(report)]))
    if items:
        grade = "bad" if report.rolled_back else "warn"
        yield Section("attention", "What needs attention", items, grade=grade)
    if report.notes:
        yield Section("notes", "Notes", [Item(lines=_cut([sentence(note) for note in report.notes]))])


def _cut(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_ROWS
    return lines if more <= 0 else [*lines[:MOST_ROWS], f"... and {more:,} more, in the report with the ending .json."]


# ---- what passes have to tell ----


def told(report: Report) -> Iterator[Section]:
    """The figures that passes put into the report."""
    items = []
    for one in report.tables:
        numbers = [name for name, *cells in zip(one.columns, *one.rows, strict=True) if text.all_numbers(cells)]
        rows = [[cell(value) for value in row] for row in one.rows[:MOST_ROWS]]
        table = Table(columns(*one.columns, numbers=numbers), rows, _more(one.rows, MOST_ROWS, "row"))
        items.append(Item(one.title, lines=[sentence(one.text)] if one.text else (), table=table))
    if items:
        yield Section("figures", "What passes found", items)


# ---- passes ----


def passes(report: Report) -> Iterator[Section]:
    """What each pass changed, how long it took, and how its rules kept their contracts."""
    if not report.steps:
        return
    rules = kept.by_rule(report)
    items = [Item(chart=_passes(report))]
    promised = [rule for rule in rules if rule.contract.startswith("close") and rule.errors]
    if promised:
        items.append(Item("Measured errors against contracts", chart=_promises(report, promised)))
    if rules:
        titles = ("pass", "rule", "rewrites", "contract", "largest error", "verdict")
        rows = [_rule(rule) for rule in rules[:MOST_ROWS]]
        table = Table(columns(*titles, numbers=(titles[2], titles[4])), rows, _more(rules, MOST_ROWS, "rule"))
        items.append(Item("Rewrites by rule", table=table))
    words = "Every rewrite is run, before it is kept, against the contract of its rule; one that breaks it is undone."
    yield Section("passes", "Passes", items, words=(words,) if rules else ("No pass found anything to rewrite.",))


def _passes(report: Report) -> Chart:
    steps = list(dict.fromkeys(record.step for record in report.steps))
    removed = dict.fromkeys(steps, 0)
    seconds = dict.fromkeys(steps, 0.0)
    made = dict.fromkeys(steps, 0)
    for record in report.steps:
        removed[record.step] += record.nodes_before - record.nodes_after
        seconds[record.step] += record.seconds
        made[record.step] += sum(record.hits.values())
    steps = steps[:MOST_RULES]
    panels = (
        Panel("rewrites", [made[step] for step in steps], _count),
        Panel("nodes removed", [removed[step] for step in steps], _count),
        Panel("time", [seconds[step] for step in steps], duration, "before"),
    )
    said = "; ".join(
        f"{step}: {counted(made[step], 'rewrite')}, {removed[step]} nodes removed, {duration(seconds[step])}"
        for step in steps
    )
    return chart("passes", "All runs of a pass together", said, lambda room: charts.bars(steps, panels, room))


def _promises(report: Report, rules: list[Kept]) -> Chart:
    rows = [
        Promise(f"{rule.rule} {TIMES}{rule.count:,}", rule.errors, rule.bound or 0.0) for rule in rules[:MOST_RULES]
    ]
    whole = report.whole
    if whole.error is not None and report.contract.startswith("close"):
        rows.append(Promise("the whole model", [whole.error], float(report.contract[6:-1])))
    said = "; ".join(f"{row.name}: at most {max(row.errors):.3g} of {row.bound:g}" for row in rows)
    title = "How far rewrites were from the original, and how far they may be"
    return chart("promises", title, f"Rounding errors. {said}", lambda room: charts.promises(rows, room))


def _rule(rule: Kept) -> tuple[str, ...]:
    verdicts = ", ".join(f"{count:,} {words}" for words, count in rule.verdicts.items())
    return (rule.step, rule.rule, _count(rule.count), rule.contract, number(rule.worst), verdicts)


# ---- layers ----


def layer_by_layer(report: Report) -> Iterator[Section]:
    """What each layer of the result holds and costs."""
    if not report.layers:
        return
    rows = heaviest(report.layers, MOST_LAYERS)
    items = [Item(chart=_layers(rows, len(report.layers)))]
    titles = ("layer", "operator", "made by", "parameters", "multiply-adds", "time", "sensitivity")
    shown = [_layer(layer) for layer in heaviest(report.layers, MOST_ROWS)]
    used = [0, 1, *(index for index in range(2, len(titles)) if any(row[index] for row in shown))]
    head = columns(*(titles[index] for index in used), numbers=titles[3:])
    table = Table(head, [[row[index] for index in used] for row in shown], _more(report.layers, MOST_ROWS, "layer"))
    items.append(Item(table=table, folded=f"All layers ({len(report.layers):,})"))
    yield Section("layers", "Layers of the result", items)


def _layers(rows: list[Layer], count: int) -> Chart:
    names = [layer.name for layer in rows]
    panels = (
        Panel("parameters", [layer.parameters or None for layer in rows], _short, "before"),
        Panel("multiply-adds", [layer.macs or None for layer in rows], _short),
        Panel("time", [layer.seconds for layer in rows], duration, "good"),
        Panel("sensitivity", [layer.sensitivity for layer in rows], number, "warn"),
    )
    title = "In the order in which they run" + (f"; the heaviest {len(rows)} of {count:,}" if len(rows) < count else "")
    tips = [f"{layer.name} ({layer.operator}{', by ' + layer.rule if layer.rule else ''})" for layer in rows]
    said = "; ".join(
        f"{layer.name}: {layer.parameters:,} parameters, {layer.macs or 0:,} multiply-adds" for layer in rows
    )

    def draw(room: Room) -> charts.Drawn:
        return charts.bars(names, panels[:3] if room.narrow else panels, room, tips)

    return chart("layers", title, said, draw)


def _layer(layer: Layer) -> tuple[str, ...]:
    parameters = _count(layer.parameters) if layer.parameters else ""
    macs = "unknown" if layer.macs is None else _short(layer.macs) if layer.macs else ""
    time = "" if layer.seconds is None else duration(layer.seconds)
    loss = "" if layer.sensitivity is None else number(layer.sensitivity)
    return (layer.name, layer.operator, layer.rule, parameters, macs, time, loss)


# ---- the rest ----


def surroundings(report: Report) -> Iterator[Section]:
    """How the compile was run, and where."""
    opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in report.after.opsets.items())
    run = [
        ("pipeline", report.pipeline),
        ("verification", f"level {report.level}, {counted(report.regions_checked, 'region')} run"),
        ("contract of the whole", report.contract),
        ("opsets", opsets),
        ("time", duration(report.seconds)),
    ]
    facts = [*run, *machine(report.environment, report.versions)]
    steps = [("next", step) for step in text.next_steps(report)]
    yield Section("environment", "How this was made", [Item(facts=[*facts, *steps])])


def _bytes(value: float) -> str:
    return size(int(value))


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _short(value: float) -> str:
    """A large number in few letters."""
    for unit, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= 10 * scale or (value >= scale and unit != "K"):
            return f"{value / scale:.3g} {unit}"
    return f"{value:,.0f}"


def _more(rows: Sized, most: int, what: str) -> str:
    left = len(rows) - most
    return f"{counted(left, 'more ' + what)} in the report with the ending .json." if left > 0 else ""
