"""Every option of `graphopt optimize` is a key of recipes, and means the same there."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import typer

from graphopt.cli.app import application
from graphopt.cli.optimize_options import Options
from graphopt.cli.recipe import opposite, schemas
from graphopt.recipe import names
from graphopt.recipe.reading import EXTENDS, read_recipe
from graphopt.recipe.schema import Key, named
from graphopt.recipe.template import Subject, template

SCHEMAS = schemas()
KEYS = SCHEMAS["optimize"]
COMMAND = typer.main.get_group(application()).commands["optimize"]
SPELLED = {
    text.removeprefix("--"): parameter
    for parameter in COMMAND.params
    for text in (*parameter.opts, *parameter.secondary_opts)
    if text.startswith("--")
}
NO_KEYS = {"recipe", "help"}
SAMPLES = {"nan": "keep"}
"""Values for options that take only certain texts; others get any."""


def sample(key: Key) -> str:
    if key.name in SAMPLES:
        return SAMPLES[key.name]
    if issubclass(key.kind, Enum):
        return str(next(iter(key.kind)).value)
    return {int: "3", float: "2.5"}.get(key.kind, "one.two")


def parsed(*arguments: str) -> dict[str, Any]:
    """What the command would be called with."""
    parameters = dict(COMMAND.make_context("optimize", list(arguments)).params)
    del parameters["recipe"]
    return parameters


def test_every_option_has_its_key():
    negations = {text.removeprefix("--") for one in COMMAND.params for text in one.secondary_opts}
    assert set(SPELLED) - negations - NO_KEYS == set(KEYS) - {"model"}


@pytest.mark.parametrize("name", [name for name, key in KEYS.items() if key.kind is bool])
def test_a_switch_of_a_recipe_is_turned_off_at_the_command_line(tmp_path, name):
    recipe = tmp_path / "on.toml"
    recipe.write_text(f'model = "a.onnx"\n{name} = true\n', "utf-8")
    field = KEYS[name].field
    assert parsed("--recipe", str(recipe))[field] is True
    off = next(iter(SPELLED[name].secondary_opts), opposite(f"--{name}"))
    assert parsed("--recipe", str(recipe), off)[field] is False


def test_the_opposite_of_a_switch():
    assert (opposite("--strict"), opposite("--no-cache")) == ("--no-strict", "--cache")


def test_the_commands_that_take_a_recipe():
    assert set(SCHEMAS) == {"optimize", "compare", "evaluate", "bench"}


def test_no_option_is_called_like_the_table_of_a_command():
    assert set(KEYS) & set(SCHEMAS) == set(), "a recipe cannot have a key and a table of one name"


def given(key: Key) -> tuple[list[str], str]:
    """The option with a value at the command line, and the same line of a recipe."""
    if key.kind is bool:
        return [f"--{key.name}"], f"{key.name} = true"
    value = sample(key)
    spelled = value if key.kind in (int, float) else f'"{value}"'
    return [f"--{key.name}", value], f"{key.name} = {f'[{spelled}]' if key.many else spelled}"


@pytest.mark.parametrize("name", [name for name, key in KEYS.items() if not key.argument])
def test_a_key_means_what_the_option_means(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    arguments, line = given(KEYS[name])
    output = [] if name == "output" else ["--output", "recipe.opt.onnx"]
    Path("recipe.toml").write_text(f'model = "model.onnx"\n{line}\n', "utf-8")
    assert parsed("--recipe", "recipe.toml") == parsed("model.onnx", *output, *arguments)


def test_every_option_that_names_files_says_whether_they_are_read_or_written():
    """So that paths in a recipe are relative to it, and make knows the dependencies."""
    unsaid = [key.name for key in KEYS.values() if key.kind is Path and key.names is names.VALUE]
    assert unsaid == [], "add READ or WRITTEN of graphopt.recipe.names to the annotation"
    assert set(named(Options)) == {key.field for key in KEYS.values()} | {"recipe"}


def test_the_written_recipe_shows_every_key(tmp_path):
    text = template(Subject("model.onnx", [], [], ["data.npz"]), "deploy.toml", SCHEMAS)
    shown = set(re.findall(r"^(?:# )?([a-z-]+) = ", text, re.MULTILINE))
    assert shown >= {*KEYS, EXTENDS}
    for keys in SCHEMAS.values():
        assert shown >= {key.name for key in keys.values() if not key.argument}


def test_every_key_that_it_shows_can_be_set(tmp_path):
    text = template(Subject("model.onnx", [], [], ["data.npz"]), "deploy.toml", SCHEMAS)
    path = tmp_path / "deploy.toml"
    path.write_text(re.sub(r"^# (?=\[|(?!extends)[a-z-]+ = )", "", text, flags=re.MULTILINE), "utf-8")
    recipe = read_recipe(path, SCHEMAS)
    assert set(recipe.settings["optimize"]) == set(KEYS)
    assert recipe.get("data" if "data" in KEYS else "feeds") == str(tmp_path / "data.npz")
