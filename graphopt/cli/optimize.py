"""`graphopt optimize`: the compile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphopt.cli.exits import INCOMPLETE
from graphopt.cli.options import AllowOutside, Json, ModelFile, Plugins, Seed, pipeline_option
from graphopt.pipeline.level import Level

if TYPE_CHECKING:
    from graphopt.api import Result
    from graphopt.report.record import Report

Output = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Where to write the result.")]
Passes = Annotated[
    str | None,
    pipeline_option("The passes to run, such as clean,fuse; by default all that are Exact or Close."),
]
Verify = Annotated[Level, typer.Option(help="How much to check; each level includes the ones before it.")]
Feeds = Annotated[
    Path | None,
    typer.Option(metavar="FILE.npz", help="Inputs on which the whole models are also compared, one array for each."),
]
Limit = Annotated[int | None, typer.Option("--opt-limit", min=0, metavar="N", help="Make at most N rewrites.")]
ReportFile = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Also write the report: FILE.txt, FILE.md or FILE.json.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 3 if anything was rolled back or unverified.")]
Reproducers = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where wrong rewrites leave a reproducer; by default OUT.reproducers."),
]
Dump = Annotated[Path | None, typer.Option(metavar="DIR", help="Write the model after each pass into this folder.")]
ExternalData = Annotated[
    bool | None,
    typer.Option(
        "--external-data/--no-external-data",
        help="Weights into OUT.data, or into OUT; by default as in MODEL, and above 2 GB into OUT.data.",
        show_default=False,
    ),
]
Inline = Annotated[
    bool, typer.Option("--inline", help="First replace calls of the model's own functions by their bodies.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Timing = Annotated[bool, typer.Option("--timing", help="Also say how long each pass took.")]


def optimize(
    model: ModelFile,
    output: Output,
    passes: Passes = None,
    verify: Verify = Level.REGION,
    seed: Seed = 0,
    feeds: Feeds = None,
    limit: Limit = None,
    plugins: Plugins = None,
    report: ReportFile = None,
    json: Json = False,
    strict: Strict = False,
    reproducers: Reproducers = None,
    dump: Dump = None,
    external_data: ExternalData = None,
    allow_outside: AllowOutside = False,
    inline: Inline = False,
    quiet: Quiet = False,
    timing: Timing = False,
) -> None:
    """Rewrite a model with passes, check every rewrite, and write the result.

    OUT appears whole and only after all checks, or not at all.
    """
    from graphopt.api import optimize as run
    from graphopt.cli import watch
    from graphopt.cli.files import check_outputs, find_plugins, read_inputs, write_text
    from graphopt.report.formats import formatter

    written = [output, *([report] if report else [])]
    check_outputs(model, written)
    format_report = formatter(report) if report else None
    beside = [output, output.with_name(output.name + ".data"), *written[1:]]
    with watch.progress(quiet=quiet) as line:
        observers: list[watch.Silent] = [watch.InputGuard(beside), line]
        if dump:
            dump.mkdir(parents=True, exist_ok=True)
            observers.append(watch.Dumps(dump))
        result = run(
            model,
            passes=passes,
            verify=verify,
            seed=seed,
            feeds=read_inputs(model, feeds, allow_outside=allow_outside) if feeds else None,
            limit=limit,
            plugins=find_plugins(plugins),
            observers=observers,
            reproducers=reproducers or output.with_name(output.name + ".reproducers"),
            allow_outside=allow_outside,
            inline=inline,
        )
        line.message(f"writing {output}")
        from graphopt.ir.writer import save

        save(result.model, output, external_data=external_data)
        if report and format_report:
            write_text(report, format_report(result.report))
    if not quiet:
        _print(result, output, json=json, timing=timing)
    _leave(result.report, strict=strict)


def _print(result: Result, output: Path, *, json: bool, timing: bool) -> None:
    from graphopt.cli.terminal import emit, show
    from graphopt.report.text import layout

    if json:
        emit(result.report.to_json())
    else:
        show(layout(result.report, output=str(output), timing=timing))


def _leave(report: Report, *, strict: bool) -> None:
    """Take the exit of a compile that is not clean, if that matters to the user."""
    from graphopt.cli.terminal import complain

    if strict and not report.clean:
        complain("written, but not everything in it was verified or kept (--strict)")
        raise typer.Exit(INCOMPLETE)
