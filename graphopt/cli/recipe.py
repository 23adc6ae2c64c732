"""The option --recipe: a recipe fills in what the command line does not say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from graphopt.errors import UsageError
from graphopt.recipe.names import RECIPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphopt.recipe.reading import Recipe, Schemas, Setting
    from graphopt.recipe.schema import Key


FED = ("data", "feeds")
"""What models can be fed. `optimize` takes both, other commands one: the first of them that is there."""


def schemas() -> Schemas:
    """The keys of every command that takes a recipe."""
    from graphopt.cli.app import application
    from graphopt.recipe.schema import schema

    found = {}
    for name, command in typer.main.get_group(application()).commands.items():
        if command.callback is not None and any("--recipe" in one.opts for one in command.params):
            found[name] = schema(command.callback, command.params)
    return found


def settings(recipe: Recipe, command: str, keys: Mapping[str, Key]) -> dict[str, Setting]:
    """What a recipe says about the parameters of a command, by name of the parameter.

    What it says to `optimize` holds for other commands too, where they have an option of that name: what models are
    fed, where they run, how they are judged. Only the files that `optimize` writes are its own.
    """
    from graphopt.recipe.names import WRITTEN
    from graphopt.recipe.reading import MAIN

    said = recipe.settings[MAIN]
    if command != MAIN:
        options = {name for name, key in keys.items() if not key.argument}
        own = recipe.settings[command]
        shared = {name: one for name, one in said.items() if name in options and one.key.names is not WRITTEN}
        fed = next((name for given in (own, shared) for name in FED if name in given), None)
        shared = {name: one for name, one in shared.items() if name not in FED or name == fed}
        said = {**shared, **own}
    return {keys[name].field: _fitting(setting, keys[name]) for name, setting in said.items()}


def _fitting(setting: Setting, key: Key) -> Setting:
    """A shared setting, also where one command takes several of what the other takes one."""
    several = key.many and not isinstance(setting.value, list)
    return replace(setting, value=[setting.value]) if several else setting


def places(recipe: Recipe, command: str, keys: Mapping[str, Key]) -> dict[str, object]:
    """Where a command takes the model and the output of a recipe: as arguments, two or one list."""
    from graphopt.recipe.reading import MAIN

    if command == MAIN:
        return {"output": recipe.output}
    arguments = [key for key in keys.values() if key.argument]
    models = recipe.get("model"), recipe.output
    if [key.many for key in arguments] == [True]:
        return {arguments[0].field: [one for one in models if one is not None]}
    return {key.field: one for key, one in zip(arguments, models, strict=False) if one is not None}


def fill(context: typer.Context, path: Path | None) -> Path | None:
    """Give the parameters of a command the values of a recipe, where the command line gives none."""
    if path is None or context.resilient_parsing:
        return path
    from graphopt.recipe.reading import read_recipe

    command, known = str(context.info_name), schemas()
    recipe = read_recipe(path, known)
    said = settings(recipe, command, known[command])
    for parameter in context.command.params:
        if setting := said.get(str(parameter.name)):
            try:
                parameter.process_value(context, setting.value)
            except typer.BadParameter as error:
                raise UsageError(f"{setting.place}: {setting.key.name}: {_why(error)}") from error
    values = {field: setting.value for field, setting in said.items()}
    context.default_map = {**(context.default_map or {}), **places(recipe, command, known[command]), **values}
    return path


def _why(error: typer.BadParameter) -> str:
    return error.message.removeprefix("Value error, ").removesuffix(".")


RecipeFile = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        metavar="FILE.toml",
        help="A recipe, which says what the command line does not (--no-SWITCH turns a switch of it off). `graphopt "
        "init` writes one.",
        is_eager=True,
        callback=fill,
    ),
    RECIPE,
]


class Switchable(TyperCommand):
    """A command that takes a recipe. Each of its switches has an opposite, which the help does not list."""

    def make_parser(self, ctx: Any) -> Any:
        """The parser of the command line; if there is a recipe to overrule, with the opposites."""
        parser = super().make_parser(ctx)
        if any("--recipe" in one.opts for one in self.params):
            for switch in self.params:
                if isinstance(switch, TyperOption) and switch.is_flag and not switch.secondary_opts:
                    off = [opposite(text) for text in switch.opts if text.startswith("--")]
                    parser.add_option(switch, off, switch.name, action="store_const", const=False)
        return parser


def opposite(switch: str) -> str:
    """`--no-strict` for `--strict`, `--cache` for `--no-cache`."""
    return f"--{switch.removeprefix('--no-')}" if switch.startswith("--no-") else f"--no-{switch.removeprefix('--')}"
