"""`graphopt init`: a recipe to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphopt.cli.options import AllowOutside
from graphopt.errors import UsageError

RecipeName = Annotated[
    Path | None,
    typer.Argument(
        metavar="RECIPE", help="The file to write; by default named after the model: MODEL.toml.", show_default=False
    ),
]
ModelName = Annotated[
    Path | None,
    typer.Option("--model", metavar="MODEL", help="The model; by default the only one in the current folder."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


def init(
    recipe: RecipeName = None, model: ModelName = None, force: Force = False, allow_outside: AllowOutside = False
) -> None:
    """Write a recipe for a model: all keys with what they are for, none set but the model.

    Then: graphopt optimize --recipe RECIPE
    """
    from graphopt.cli.files import check_outputs, write_text
    from graphopt.cli.recipe import schemas
    from graphopt.cli.terminal import emit
    from graphopt.ir.reader import load
    from graphopt.recipe.template import subject, template

    if recipe is not None and recipe.suffix != ".toml":
        hint = f": graphopt init --model {recipe}" if recipe.suffix == ".onnx" else ""
        raise UsageError(f"{recipe}: the name of a recipe ends in .toml{hint}")
    source = model or _only_model(Path())
    target = recipe or Path(source.with_suffix(".toml").name)
    check_outputs(source, [target])
    if target.exists() and not force:
        raise UsageError(f"{target} is there already: give the recipe another name, or replace it with --force")
    found = subject(load(source, allow_outside=allow_outside), source, target.parent)
    write_text(target, template(found, target.name, schemas()))
    emit(f"wrote {target}; now: graphopt optimize --recipe {target}")


def _only_model(folder: Path) -> Path:
    """The one model of a folder that no recipe has made. Raises UsageError if there is another number of them."""
    from graphopt.recipe.reading import ENDING

    found = [path for path in sorted(folder.glob("*.onnx")) if not path.name.endswith(ENDING)]
    if len(found) != 1:
        raise UsageError(f"which model? The current folder has {len(found) or 'none'}: give one with --model")
    return found[0]
