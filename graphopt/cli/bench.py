"""`graphopt bench`: how fast models are beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from graphopt.cli.data_options import PANEL, Reading, open_given
from graphopt.cli.options import AllowOutside, Dimensions, Json, ReportFiles, sizes, taking
from graphopt.cli.recipe import RecipeFile
from graphopt.errors import UsageError
from graphopt.recipe.names import LIST, MODEL, READ, SOURCE

Models = Annotated[
    list[Path],
    typer.Argument(metavar="MODEL...", help="ONNX files; the first is what the others are compared with."),
    MODEL,
]
Feeds = Annotated[
    Path | None, typer.Option(metavar="FILE.npz", help="Inputs, one array for each by name; drawn by default."), READ
]
Place = Annotated[
    str | None,
    typer.Option(
        metavar="DATA", help="What is fed instead: the first samples of FILE.npz, a folder, ...", rich_help_panel=PANEL
    ),
    SOURCE,
]
Provider = Annotated[str, typer.Option(metavar="NAME", help="Where the models run: cpu, cuda, ...")]
Threads = Annotated[
    str, typer.Option(metavar="N,...", help="Threads that compute one operator; by default one for each core."), LIST
]
Batches = Annotated[
    str, typer.Option("--batch", metavar="N,...", help="Samples in one run; by default 1, or as many as are fed."), LIST
]
Seconds = Annotated[
    float, typer.Option(metavar="S", help="Time for each setting, though never less than six processes take.")
]
Precision = Annotated[
    float, typer.Option(metavar="P", help="End sooner when ratios are known to within this share, such as 0.01.")
]
Profile = Annotated[bool, typer.Option("--profile", help="Also show where the time goes, by operator.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of drawn inputs, and of the order in which models run.")]


@dataclass(frozen=True, kw_only=True)
class Options(Reading):
    """What `bench` was asked to do."""

    models: Models
    recipe: RecipeFile = None
    feeds: Feeds = None
    data: Place = None
    provider: Provider = "cpu"
    threads: Threads = ""
    batches: Batches = ""
    dimensions: Dimensions = None
    seconds: Seconds = 30.0
    precision: Precision = 0.01
    profile: Profile = False
    seed: Seed = 0
    reports: ReportFiles = None
    json: Json = False
    allow_outside: AllowOutside = False


@taking(Options)
def bench(options: Options) -> None:
    """Measure latency, throughput, load time, memory and size of models, and how certain their ratios are.

    All models run in turns, in one process after another, so that what else the machine does disturbs all of them.
    """
    from graphopt.cli.reporting import writer
    from graphopt.cli.terminal import emit, show
    from graphopt.cli.watch import progress
    from graphopt.ir.reader import load
    from graphopt.measure.bench import bench as measure
    from graphopt.numerics.inputs import read_feeds
    from graphopt.report.bench_text import layout
    from graphopt.report.encode import to_json
    from graphopt.report.formats import BENCH

    threads, batches = _numbers("--threads", options.threads), _numbers("--batch", options.batches)
    write = writer(options.reports or (), BENCH, options.models)
    with progress(quiet=options.json) as line:
        data = None
        if options.data is not None:
            first = load(options.models[0], allow_outside=options.allow_outside)
            data = open_given(options.data, first, options, options.recipe)
        record = measure(
            options.models,
            feeds=None if options.feeds is None else read_feeds(options.feeds),
            data=data,
            provider=options.provider,
            threads=threads,
            batches=batches,
            sizes=sizes(options.dimensions),
            profile=options.profile,
            seconds=options.seconds,
            precision=options.precision,
            seed=options.seed,
            allow_outside=options.allow_outside,
            progress=line.message,
        )
    write(record)
    if options.json:
        emit(to_json(record))
    else:
        show(layout(record))


def _numbers(option: str, text: str) -> list[int | None]:
    """The numbers of a list with commas; one None for an empty one. Raises UsageError."""
    parts = [part.strip() for part in text.split(",")] if text else []
    for part in parts:
        if not part.removeprefix("-").isdecimal():
            raise UsageError(f"{option} {text}: write numbers with commas in between, such as 1,2")
    return list(dict.fromkeys(map(int, parts))) or [None]
