"""`graphopt compare`: two models on the same inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphopt.cli.exits import FAILED
from graphopt.cli.options import AllowOutside, Json, Seed
from graphopt.cli.recipe import RecipeFile
from graphopt.recipe.names import MODEL, READ

First = Annotated[Path, typer.Argument(metavar="A", help="The model that is right.", show_default=False), MODEL]
Second = Annotated[Path, typer.Argument(metavar="B", help="The model to compare with it.", show_default=False), MODEL]
Feeds = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE.npz", help="Inputs, one array for each by name. May be repeated; made up by default."),
    READ,
]
Contract = Annotated[
    str, typer.Option(metavar="TEXT", help="What B must keep: exact, close(64), lossy(sqnr >= 30), ...")
]


def compare(
    a: First,
    b: Second,
    recipe: RecipeFile = None,  # noqa: ARG001 - it has filled in the others
    feeds: Feeds = None,
    contract: Contract = "close(1000)",
    seed: Seed = 0,
    json: Json = False,
    allow_outside: AllowOutside = False,
) -> None:
    """Run two models on the same inputs and show their numbers side by side.

    Exit code 1 if B does not keep the contract, or if nothing could be compared.
    """
    from graphopt.cli.terminal import emit, show
    from graphopt.ir.reader import load
    from graphopt.numerics.contract import parse_contract
    from graphopt.numerics.inputs import read_feeds
    from graphopt.numerics.worker import best_runner
    from graphopt.report.comparison import side_by_side
    from graphopt.report.comparison_text import layout

    promise = parse_contract(contract)
    given = {str(path): read_feeds(path) for path in feeds or ()}
    runner = best_runner()
    try:
        one, other = (load(path, allow_outside=allow_outside) for path in (a, b))
        record = side_by_side(one, other, promise, runner, given=given, seed=seed)
    finally:
        runner.close()
    if json:
        emit(record.to_json())
    else:
        show(layout(record))
    if record.verdict != "agree":
        raise typer.Exit(FAILED)
