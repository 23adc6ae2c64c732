"""`graphopt bench`: how fast models are beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphopt.cli.options import AllowOutside, Dimensions, Json, sizes
from graphopt.cli.recipe import RecipeFile
from graphopt.errors import UsageError
from graphopt.recipe.names import LIST, MODEL, READ

Models = Annotated[
    list[Path],
    typer.Argument(metavar="MODEL...", help="ONNX files; the first is what the others are compared with."),
    MODEL,
]
Feeds = Annotated[
    Path | None, typer.Option(metavar="FILE.npz", help="Inputs, one array for each by name; drawn by default."), READ
]
DataFile = Annotated[Path | None, typer.Option("--data", metavar="DATA", help="Data, of which a batch is fed."), READ]
Provider = Annotated[str, typer.Option(metavar="NAME", help="Where the models run: cpu, cuda, ...")]
Threads = Annotated[
    str, typer.Option(metavar="N,...", help="Threads that compute one operator; by default one for each core."), LIST
]
Batches = Annotated[
    str, typer.Option("--batch", metavar="N,...", help="Samples in one run; by default 1, or as many as are fed."), LIST
]
Seconds = Annotated[float, typer.Option(metavar="S", help="Time for each setting, if it does not suffice sooner.")]
Precision = Annotated[
    float, typer.Option(metavar="P", help="End sooner when ratios are known to within this share, such as 0.01.")
]
Profile = Annotated[bool, typer.Option("--profile", help="Also show where the time goes, by operator.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of drawn inputs, and of the order in which models run.")]


def bench(
    models: Models,
    recipe: RecipeFile = None,  # noqa: ARG001 - it has filled in the others
    feeds: Feeds = None,
    data: DataFile = None,
    provider: Provider = "cpu",
    threads: Threads = "",
    batches: Batches = "",
    dimensions: Dimensions = None,
    seconds: Seconds = 30.0,
    precision: Precision = 0.01,
    profile: Profile = False,
    seed: Seed = 0,
    json: Json = False,
    allow_outside: AllowOutside = False,
) -> None:
    """Measure latency, throughput, load time, memory and size of models, and how certain their ratios are.

    All models run in turns, in one process after another, so that what else the machine does disturbs all of them.
    """
    from graphopt.cli.terminal import emit, show
    from graphopt.cli.watch import progress
    from graphopt.measure.bench import bench as measure
    from graphopt.numerics.inputs import read_feeds
    from graphopt.report.bench_text import layout
    from graphopt.report.encode import to_json

    with progress(quiet=json) as line:
        record = measure(
            models,
            feeds=None if feeds is None else read_feeds(feeds),
            data=data,
            provider=provider,
            threads=_numbers("--threads", threads),
            batches=_numbers("--batch", batches),
            sizes=sizes(dimensions),
            profile=profile,
            seconds=seconds,
            precision=precision,
            seed=seed,
            allow_outside=allow_outside,
            progress=line.message,
        )
    if json:
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
