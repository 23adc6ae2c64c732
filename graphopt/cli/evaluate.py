"""`graphopt evaluate`: how good models are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from graphopt.cli.data_options import Place, Reading, open_given
from graphopt.cli.options import AllowOutside, Json, ReportFiles, taking
from graphopt.cli.recipe import RecipeFile
from graphopt.recipe.names import FUNCTION, MODEL

Models = Annotated[
    list[Path],
    typer.Argument(metavar="MODEL...", help="ONNX files; the first is what the others are compared with."),
    MODEL,
]

DEFAULT = ("top1",)
"""The metrics of somebody who names none."""


def _metric_names() -> list[str]:
    from graphopt.measure.metrics import METRICS

    return list(METRICS)


Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="top1, top5, agreement, f1, map, perplexity, sqnr, cosine, mean_abs, max_abs, or module:function; with "
        "options such as f1:average=micro or sqnr:output=logits. May be repeated; top1 by default.",
        autocompletion=_metric_names,
    ),
    FUNCTION,
]
Reference = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL", help="The original that agreement, sqnr and so on compare with; by default the first."
    ),
    MODEL,
]
Provider = Annotated[str, typer.Option(metavar="NAME", help="Where the models run: cpu, cuda, ...")]
Threads = Annotated[
    int | None, typer.Option(metavar="N", help="Threads that compute one operator; by default one for each core.")
]
Batch = Annotated[
    int | None,
    typer.Option(metavar="N", help="Samples at a time; by default what the models were exported for, or 32."),
]
Limit = Annotated[int | None, typer.Option(metavar="N", help="Only the first N samples.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the draws from which intervals come.")]


@dataclass(frozen=True, kw_only=True)
class Options(Reading):
    """What `evaluate` was asked to do."""

    models: Models
    data: Place
    recipe: RecipeFile = None
    metrics: Metrics = None
    reference: Reference = None
    provider: Provider = "cpu"
    threads: Threads = None
    batch: Batch = None
    limit: Limit = None
    seed: Seed = 0
    reports: ReportFiles = None
    json: Json = False
    allow_outside: AllowOutside = False


@taking(Options)
def evaluate(options: Options) -> None:
    """Score models on data, and say how certain the differences are.

    All models see the same samples, which are read once and never all in memory.
    """
    from graphopt.cli.reporting import writer
    from graphopt.cli.terminal import emit, show
    from graphopt.cli.watch import progress
    from graphopt.data.interface import interface
    from graphopt.ir.reader import load
    from graphopt.measure.evaluate import evaluate as run
    from graphopt.report.encode import to_json
    from graphopt.report.evaluation_text import layout
    from graphopt.report.formats import EVALUATION

    write = writer(options.reports or (), EVALUATION, options.models)
    with progress(quiet=options.json) as line:
        line.message(f"opening {options.data}")
        first = interface(load(options.models[0], allow_outside=options.allow_outside))
        record = run(
            options.models,
            open_given(options.data, first, options, options.recipe),
            options.metrics or DEFAULT,
            reference=options.reference,
            provider=options.provider,
            threads=options.threads,
            batch=options.batch,
            limit=options.limit,
            seed=options.seed,
            allow_outside=options.allow_outside,
            progress=_counting(line.message),
        )
    write(record)
    if options.json:
        emit(to_json(record))
    else:
        show(layout(record))


def _counting(message: Callable[[str], None]) -> Callable[[int, int | None], None]:
    """Tells how many samples are done."""

    def told(done: int, total: int | None) -> None:
        message(f"evaluating, {done:,} of {total:,} samples" if total else f"evaluating, {done:,} samples")

    return told
