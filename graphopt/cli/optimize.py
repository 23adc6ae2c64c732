"""`graphopt optimize`: the compile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from graphopt.cli.exits import INCOMPLETE
from graphopt.cli.optimize_options import Options
from graphopt.cli.options import taking
from graphopt.errors import UsageError

if TYPE_CHECKING:
    from graphopt.api import Result
    from graphopt.cli.watch import Progress, Silent
    from graphopt.report.record import Report


@taking(Options)
def optimize(options: Options) -> None:
    """Rewrite a model with passes, check every rewrite, and write the result.

    OUT appears whole and only after all checks, or not at all.
    """
    from graphopt.cli import watch
    from graphopt.cli.files import check_outputs, write_text
    from graphopt.cli.reporting import completed
    from graphopt.report.formats import formatter

    report, output = options.report, options.output
    check_outputs(options.model, [one for one in (output, report, options.depfile) if one])
    _check_options(options)
    format_report = formatter(report) if report else None
    with watch.progress(quiet=options.quiet) as line:
        result = _compile(options, line)
        line.message(f"writing {output}")
        from graphopt.ir.writer import save

        if options.depfile:
            _write_depfile(options, options.depfile)
        save(
            result.model,
            output,
            external_data=options.external_data,
            reference_weights=options.reference_weights,
            allow_outside=options.allow_outside,
        )
        told = completed(result, options)
        if report and format_report:
            write_text(report, format_report(told))
    if not options.quiet:
        _print(told, options)
    _leave(told, strict=options.strict)


def _check_options(options: Options) -> None:
    """Raises UsageError for options that cannot be kept together."""
    from graphopt.recipe.depfile import target

    if options.reference_weights and options.external_data is False:
        raise UsageError("--reference-weights and --no-external-data contradict each other")
    if options.depfile:
        target(str(options.output))


def _write_depfile(options: Options, path: Path) -> None:
    """Before the model itself: whoever finds a new model finds what it depends on."""
    from graphopt.cli.files import write_text
    from graphopt.recipe.dependencies import dependencies
    from graphopt.recipe.depfile import depfile

    write_text(path, depfile(str(options.output), map(str, dependencies(options))))


def _compile(options: Options, line: Progress) -> Result:
    from graphopt.api import optimize as run
    from graphopt.cli.files import find_plugins, read_inputs

    feeds, allow_outside = options.feeds, options.allow_outside
    return run(
        options.model,
        passes=options.passes,
        target=options.target,
        verify=options.verify,
        seed=options.seed,
        feeds=read_inputs(options.model, feeds, allow_outside=allow_outside) if feeds else None,
        limit=options.limit,
        plugins=find_plugins(options.plugins, options.recipe),
        observers=_observers(options, line),
        reproducers=options.reproducers or _beside(options.output, ".reproducers"),
        allow_outside=allow_outside,
        inline=options.inline,
    )


def _observers(options: Options, line: Progress) -> list[Silent]:
    from graphopt.cli import watch

    report = [options.report] if options.report else []
    observers: list[Silent] = [watch.InputGuard([options.output, _beside(options.output, ".data"), *report]), line]
    if options.dump:
        options.dump.mkdir(parents=True, exist_ok=True)
        observers.append(watch.Dumps(options.dump))
    return observers


def _beside(output: Path, ending: str) -> Path:
    return output.with_name(output.name + ending)


def _print(report: Report, options: Options) -> None:
    from graphopt.cli.terminal import emit, show
    from graphopt.report.text import layout

    if options.json:
        emit(report.to_json())
    else:
        show(layout(report, output=str(options.output), timing=options.timing))


def _leave(report: Report, *, strict: bool) -> None:
    """Take the exit of a compile that is not clean, if that matters to the user."""
    from graphopt.cli.terminal import complain

    if strict and not report.clean:
        complain("written, but not everything in it was verified or kept (--strict)")
        raise typer.Exit(INCOMPLETE)
