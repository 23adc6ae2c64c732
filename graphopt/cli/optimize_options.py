"""The options of `graphopt optimize`: what each is called, takes, and is for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from graphopt.cli.budget_options import Budgeting
from graphopt.cli.options import AllowOutside, Json, ModelFile, Plugins, ReportFiles, Seed, TargetName, pipeline_option
from graphopt.cli.recipe import RecipeFile
from graphopt.pipeline.level import Level
from graphopt.recipe.names import PIPELINE, READ, WRITTEN

Output = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Where to write the result."), WRITTEN]
Passes = Annotated[
    str | None,
    pipeline_option("The passes to run, such as clean,fuse; by default all that are Exact or Close."),
    PIPELINE,
]
Verify = Annotated[Level, typer.Option(help="How much to check; each level includes the ones before it.")]
Feeds = Annotated[
    Path | None,
    typer.Option(metavar="FILE.npz", help="Inputs on which the whole models are also compared, one array for each."),
    READ,
]
Limit = Annotated[int | None, typer.Option("--opt-limit", min=0, metavar="N", help="Make at most N rewrites.")]
Timed = Annotated[
    bool, typer.Option("--measure", help="Also measure how fast MODEL and OUT are on this machine, for the report.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 3 if anything was rolled back or unverified.")]
Reproducers = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where wrong rewrites leave a reproducer; by default OUT.reproducers."),
    WRITTEN,
]
Dump = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write the model after each pass into this folder."), WRITTEN
]
Depfile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also write a rule for make: OUT and the files on which it depends."),
    WRITTEN,
]
ExternalData = Annotated[
    bool | None,
    typer.Option(
        "--external-data/--no-external-data",
        help="Weights into OUT.data, or into OUT; by default as in MODEL, and above 2 GB into OUT.data.",
        show_default=False,
    ),
]
ReferenceWeights = Annotated[
    bool,
    typer.Option(
        "--reference-weights",
        help="Do not copy unchanged weights: point at the file that has them, in OUT's folder or below it.",
    ),
]
Inline = Annotated[
    bool, typer.Option("--inline", help="First replace calls of the model's own functions by their bodies.")
]
CACHE = "Cache"
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Compile even what was compiled before.", rich_help_panel=CACHE)
]
CacheDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where results are kept; by default $GRAPHOPT_CACHE, or graphopt in the user's "
                 "folder for caches.", rich_help_panel=CACHE),
    WRITTEN,
]  # fmt: skip
CacheSize = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="How much it may hold; by default $GRAPHOPT_CACHE_SIZE, or 4GB.",
                 rich_help_panel=CACHE),
]  # fmt: skip
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Timing = Annotated[bool, typer.Option("--timing", help="Also say how long each pass took.")]


@dataclass(frozen=True, kw_only=True)
class Options(Budgeting):
    """What `optimize` was asked to do; one field for each argument and option, in the order of the help."""

    model: ModelFile
    output: Output
    recipe: RecipeFile = None
    passes: Passes = None
    target: TargetName = "ort"
    verify: Verify = Level.REGION
    seed: Seed = 0
    feeds: Feeds = None
    limit: Limit = None
    plugins: Plugins = None
    reports: ReportFiles = None
    measure: Timed = False
    json: Json = False
    strict: Strict = False
    reproducers: Reproducers = None
    dump: Dump = None
    depfile: Depfile = None
    external_data: ExternalData = None
    reference_weights: ReferenceWeights = False
    allow_outside: AllowOutside = False
    inline: Inline = False
    no_cache: NoCache = False
    cache_dir: CacheDir = None
    cache_size: CacheSize = None
    quiet: Quiet = False
    timing: Timing = False
