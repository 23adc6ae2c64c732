"""`graphopt optimize`: the compile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from graphopt.cli.exits import FAILED, INCOMPLETE
from graphopt.cli.optimize_options import Options
from graphopt.cli.options import taking
from graphopt.errors import BudgetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphopt.cache import Cache
    from graphopt.cli.watch import InputGuard, Progress, Silent
    from graphopt.compile import Result
    from graphopt.numerics.process import Process
    from graphopt.report.record import Report


@taking(Options)
def optimize(options: Options) -> None:
    """Rewrite a model with passes, check every rewrite, and write the result.

    OUT appears whole and only after all checks, or not at all.
    """
    from graphopt.numerics.process import started

    with started() as process:
        _optimize(options, process)


def _optimize(options: Options, process: Process | None) -> None:
    """The command, with a process for its runs that gets ready while this one imports everything else."""
    from graphopt.cli import watch
    from graphopt.cli.files import check_outputs
    from graphopt.cli.reporting import writer
    from graphopt.report.formats import FORMATS

    check_outputs(options.model, [options.output, *_beside_it(options)])
    _check_options(options)
    report_to = writer(options.reports or (), FORMATS, [options.model])
    with watch.progress(quiet=options.quiet) as line:
        result, missed = _compile(options, line, process)
        writes = options.keep or not missed
        told = _write(result, options, line, report_to) if writes else result.report
    _print(told, options, written=writes)
    if missed:
        kept = "It was written all the same (--keep)" if writes else "Nothing was written; --keep writes the best found"
        raise _failed(f"{missed} {kept}.")
    _leave(told, strict=options.strict)


def _write(result: Result, options: Options, line: Progress, report_to: Callable[[Report], None]) -> Report:
    """Write everything that was asked for; the report with what is known of the files."""
    from graphopt.cli.reporting import completed
    from graphopt.ir.writer import save

    line.message(f"writing {options.output}")
    if options.depfile:
        _write_depfile(options, options.depfile)
    save(
        result.model,
        options.output,
        external_data=options.external_data,
        reference_weights=options.reference_weights,
        allow_outside=options.allow_outside,
    )
    told = completed(result, options, line.message)
    report_to(told)
    return told


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


def _compile(options: Options, line: Progress, process: Process | None) -> tuple[Result, str]:
    """The result, and which limits it breaks, if any."""
    try:
        return _result(options, line, process), ""
    except BudgetError as missed:
        return missed.result, str(missed)


def _result(options: Options, line: Progress, process: Process | None) -> Result:
    """What was compiled, now or earlier."""
    guard, *observers = _observers(options, line)
    cache = _cache(options)
    if cache is None:
        from graphopt.api import optimize

        return _run(optimize, options, [guard, *observers], process)
    result = _run(cache.optimize, options, [guard, *observers], process)
    if result.report.cached:
        from graphopt.cache.key import files_of

        guard.check(files_of(options.model, allow_outside=options.allow_outside))
    return result


def _cache(options: Options) -> Cache | None:
    """The cache, unless somebody wants to see the compile, or weights in the file in which they are."""
    if options.no_cache or options.dump or options.reference_weights:
        return None
    from graphopt.budget.values import size
    from graphopt.cache import Cache
    from graphopt.cache.results import default_folder, default_limit

    limit = size(options.cache_size, "cache-size") if options.cache_size else default_limit()
    return Cache(options.cache_dir or default_folder(), limit)


def _run(run: Callable[..., Result], options: Options, observers: list[Silent], process: Process | None) -> Result:
    from graphopt.cli.budget_options import budget_given, data_given
    from graphopt.cli.files import find_plugins, read_inputs

    feeds, allow_outside, where = options.feeds, options.allow_outside, (options.model, options.recipe)
    budget = budget_given(options)
    return run(
        options.model,
        passes=options.passes,
        target=options.target,
        verify=options.verify,
        seed=options.seed,
        feeds=read_inputs(options.model, feeds, allow_outside=allow_outside) if feeds else None,
        limit=options.limit,
        plugins=find_plugins(options.plugins, options.recipe),
        observers=observers,
        runner=process,
        reproducers=options.reproducers or _beside(options.output, ".reproducers"),
        allow_outside=allow_outside,
        inline=options.inline,
        budget=budget,
        data=data_given(options.data, options, *where, allow_outside=allow_outside),
        calibration=data_given(options.calibration, options, *where, allow_outside=allow_outside),
        metric=options.metric,
    )


def _observers(options: Options, line: Progress) -> tuple[InputGuard, *tuple[Silent, ...]]:
    from graphopt.cli import watch

    guard = watch.InputGuard([options.output, _beside(options.output, ".data"), *_beside_it(options)])
    if not options.dump:
        return guard, line
    options.dump.mkdir(parents=True, exist_ok=True)
    return guard, line, watch.Dumps(options.dump)


def _beside_it(options: Options) -> list[Path]:
    """The files that are written besides the result."""
    return [*(options.reports or ()), *([options.depfile] if options.depfile else [])]


def _beside(output: Path, ending: str) -> Path:
    return output.with_name(output.name + ending)


def _print(report: Report, options: Options, *, written: bool) -> None:
    from graphopt.cli.terminal import emit, show

    if options.quiet:
        return
    if options.json:
        emit(report.to_json())
    else:
        from graphopt.report.text import layout

        show(layout(report, output=str(options.output) if written else "", timing=options.timing))


def _failed(message: str) -> typer.Exit:
    """The exit to take after saying which limit was missed."""
    from graphopt.cli.terminal import complain

    complain(message)
    return typer.Exit(FAILED)


def _leave(report: Report, *, strict: bool) -> None:
    """Take the exit of a compile that is not clean, if that matters to the user."""
    from graphopt.cli.terminal import complain

    if strict and not report.clean:
        complain("written, but not everything in it was verified or kept (--strict)")
        raise typer.Exit(INCOMPLETE)
