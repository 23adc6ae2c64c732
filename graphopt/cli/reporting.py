"""What the report of a compile says besides the compile itself: files, layers, and what was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

Record = TypeVar("Record")

if TYPE_CHECKING:
    from graphopt.cli.optimize_options import Options
    from graphopt.compile import Result
    from graphopt.measure.record import Bench
    from graphopt.report.formats import Formats
    from graphopt.report.record import Report


def writer(reports: Sequence[Path], formats: Formats[Record], models: Sequence[Path]) -> Callable[[Record], None]:
    """What writes a record about `models` into the files that were asked for.

    Raises UsageError and OutputError, before any work, where it cannot be written.
    """
    from graphopt.cli.files import check_outputs, write_text
    from graphopt.report.formats import formatter

    for model in models:
        check_outputs(model, reports)
    spelled = [(path, formatter(path, formats)) for path in reports]

    def write(record: Record) -> None:
        for path, spell in spelled:
            write_text(path, spell(record))

    return write


def completed(result: Result, options: Options, progress: Callable[[str], None]) -> Report:
    """The report with the size of the written file and what else was asked for.

    That is speed with --measure, and layers and environment if a file or a program is to have the report.
    """
    report = replace(result.report, after=replace(result.report.after, file_bytes=_written(options.output)))
    if options.measure:
        report = replace(report, bench=_measured(options, progress))
    if not options.reports and not options.json:
        return report
    from graphopt.measure.environment import environment
    from graphopt.report.layers import layers, sensitive, timed, worth_telling

    found = layers(result.model)
    if report.bench is not None:
        found = timed(found, result.model, report.bench.settings[0].models[1].operators)
    if report.budget is not None:
        found = sensitive(found, report.budget)
    return replace(report, layers=worth_telling(found), environment=environment())


def _measured(options: Options, progress: Callable[[str], None]) -> Bench:
    """How fast the model and the result are beside each other, on the inputs or the data that were given, if any."""
    from graphopt.cli.budget_options import data_given
    from graphopt.cli.files import read_inputs
    from graphopt.measure.bench import bench

    outside, where = options.allow_outside, (options.model, options.recipe)
    feeds = read_inputs(options.model, options.feeds, allow_outside=outside) if options.feeds else None
    data = None if feeds is not None else data_given(options.data, options, *where, allow_outside=outside)
    models = [options.model, options.output]
    return bench(
        models, feeds=feeds, data=data, profile=True, seed=options.seed, allow_outside=outside, progress=progress
    )


def _written(output: Path) -> int | None:
    """Bytes of a model that was just written, with its weights. Another process may be about to replace it."""
    from graphopt.ir.atomic import alone
    from graphopt.ir.external import bytes_on_disk
    from graphopt.ir.reader import load

    with alone(output.parent):
        if not output.with_name(output.name + ".data").exists():
            return output.stat().st_size
        return bytes_on_disk(load(output, allow_outside=True))
