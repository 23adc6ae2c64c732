"""`graphopt makefile`: make builds what recipes declare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphopt.errors import UsageError

Recipes = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RECIPE",
        help="Recipes; by default all in the current folder.",
        show_default=False,
    ),
]


def makefile(recipes: Recipes = None) -> None:
    """Print a makefile that builds, verifies and times the models of recipes.

    graphopt makefile > Makefile
    """
    import shlex

    from graphopt.cli.recipe import schemas
    from graphopt.cli.terminal import emit
    from graphopt.recipe.makefile import makefile as text
    from graphopt.recipe.reading import read_recipe

    paths = recipes or _found(Path())
    known = schemas()
    command = shlex.join(["graphopt", "makefile", *map(str, recipes or ())])
    emit(text([read_recipe(path, known) for path in paths], command).rstrip())


def _found(folder: Path) -> list[Path]:
    """The files of a folder that look like recipes. Raises UsageError if there is none."""
    from graphopt.recipe.reading import declares_model

    found = [path for path in sorted(folder.glob("*.toml")) if declares_model(path)]
    if not found:
        raise UsageError("there is no recipe in the current folder; write one with: graphopt init --model MODEL")
    return found
