"""Pages about benchmarks and evaluations of any models."""

from __future__ import annotations

from collections.abc import Sequence

from graphopt.ir.words import listed
from graphopt.measure.evaluate import Evaluation
from graphopt.measure.record import Bench
from graphopt.report.bench_text import letters
from graphopt.report.headline import PAIR, Figure, accuracy, missing, smaller, speed
from graphopt.report.page import scores
from graphopt.report.page import speed as speed_page
from graphopt.report.page.html import Item, Page, Section, Table, columns, html
from graphopt.report.page.machine import machine
from graphopt.report.style import change, counted, duration, size

FOOTER = "Made by graphopt. The same as numbers is in the report with the ending .json."


def bench_page(record: Bench) -> str:
    """A benchmark as one HTML file; the figures at its top compare the second model with the first."""
    names = _names(record.models)
    models = record.settings[0].models
    compressed = missing("compression", "Compression ratio", "give two models")
    if len(models) >= PAIR:
        compressed = smaller(models[0].file_bytes, models[1].file_bytes, "on disk")
    first = models[0].file_bytes
    rows = [
        (name, one.model, size(one.file_bytes), change(first, one.file_bytes))
        for name, one in zip(names, models, strict=True)
    ]
    table = Table(columns("", "model", "file", "change", numbers=("file", "change")), rows)
    facts = [
        *machine(record.environment, record.environment.versions),
        ("load", f"{record.environment.load:.1f} runnable processes before the start"),
        ("time", duration(record.seconds)),
    ]
    figures = (
        compressed,
        speed(record) if len(models) >= PAIR else missing("speed", "Speed-up", "give two models"),
        missing("accuracy", "Accuracy change", "say graphopt evaluate with --data DATA"),
    )
    return _page("graphopt bench", record.models, figures, [
        Section("models", "Models", [Item(table=table)]),
        *speed_page.speed(record, names),
        Section("environment", "How this was measured", [Item(facts=facts)]),
    ])  # fmt: skip


def evaluation_page(record: Evaluation) -> str:
    """An evaluation as one HTML file; the figures at its top compare the second model with the first."""
    models = [one.model for one in record.models]
    names = _names(models)
    figures = (
        missing("compression", "Compression ratio", "say graphopt bench"),
        missing("speed", "Speed-up", "say graphopt bench"),
        accuracy(record) if len(models) >= PAIR else missing("accuracy", "Accuracy change", "give two models"),
    )
    left = [f"{model}: {counted(len(nodes), 'node')}" for model, nodes in record.left_to_cpu.items()]
    facts = [
        ("provider", f"{record.provider}, {counted(record.threads, 'thread')}"),
        *([("left to the CPU", "; ".join(left))] if left else []),
        *([("compared with", record.reference)] if record.reference else []),
        ("time", duration(record.seconds)),
    ]
    table = Table(columns("", "model"), list(zip(names, models, strict=True)))
    return _page("graphopt evaluate", models, figures, [
        Section("models", "Models", [Item(table=table)]),
        *scores.scores(record, names),
        Section("environment", "How this was measured", [Item(facts=facts)]),
    ])  # fmt: skip


def _names(models: Sequence[str]) -> list[str]:
    """Short names: letters and what tells the models apart."""
    files = (model.replace("\\", "/").rpartition("/")[2] for model in models)
    return [f"{letter} {file}" for letter, file in zip(letters(len(models)), files, strict=True)]


def _page(kind: str, models: Sequence[str], figures: Sequence[Figure], sections: list[Section]) -> str:
    title = listed((model.rpartition("/")[2] for model in models), PAIR)
    verdict = f"{models[1]} compared with {models[0]}" if len(models) >= PAIR else models[0]
    return html(Page(kind, title, "measured", verdict + ".", "good", figures, sections, FOOTER))
