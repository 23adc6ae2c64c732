"""What a recipe says: keys, values and files, or the line that is wrong."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import pytest

import graphopt
from graphopt.recipe.names import MODEL, MODULE, PIPELINE, READ, SOURCE, WRITTEN
from graphopt.recipe.reading import declares_model, read_recipe
from graphopt.recipe.schema import Key


class Level(Enum):
    LOW = "low"


KEYS = (
    Key("model", "model", Path, names=MODEL, argument=True),
    Key("output", "output", Path, names=WRITTEN),
    Key("passes", "passes", str, names=PIPELINE),
    Key("opt-limit", "limit", int),
    Key("floor", "floor", float),
    Key("level", "verify", Level),
    Key("strict", "strict", bool),
    Key("plugin", "plugins", str, many=True, names=MODULE),
    Key("feeds", "feeds", Path, many=True, names=READ),
    Key("data", "data", str, names=SOURCE),
    Key("max-drop", "max_drop", str),
)
BENCH = (Key("models", "models", Path, many=True, argument=True), Key("rounds", "rounds", int))
SCHEMAS = {"optimize": {key.name: key for key in KEYS}, "bench": {key.name: key for key in BENCH}}


@pytest.fixture
def said(tmp_path, monkeypatch):
    """The recipe that a text is, in the folder `deploy`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy").mkdir()

    def write(text, name="net.toml"):
        path = Path("deploy") / name
        path.write_text(text, "utf-8")
        return read_recipe(path, SCHEMAS)

    return write


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("opt-limit = 3", 3),
        ("floor = 3", 3),
        ("floor = 0.5", 0.5),
        ('level = "low"', "low"),
        ("strict = false", False),
        ('max-drop = "1%"', "1%"),
        ("max-drop = 0.01", "0.01"),
        ('plugin = "rules"', ["rules"]),
        ('plugin = ["rules", "more"]', ["rules", "more"]),
        ('passes = "clean,fuse"', "clean,fuse"),
        ('passes = ["clean", "fuse"]', "clean,fuse"),
    ],
)
def test_values(said, line, value):
    assert said(line).get(line.partition(" ")[0]) == value


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('model = "net.onnx"', "deploy/net.onnx"),
        ('model = "../models/net.onnx"', "models/net.onnx"),
        ('model = "/somewhere/net.onnx"', "/somewhere/net.onnx"),
        ('output = "../build/net.onnx"', "build/net.onnx"),
        ('feeds = ["a.npz", "b.npz"]', ["deploy/a.npz", "deploy/b.npz"]),
        ('data = "images"', "deploy/images"),
        ('data = "my.module:samples"', "my.module:samples"),
        ('passes = "clean,@more.toml"', "clean,@deploy/more.toml"),
    ],
)
def test_paths_are_relative_to_the_recipe(said, line, value):
    assert said(line).get(line.partition(" ")[0]) == value


def test_two_dots_stay_where_leaving_them_out_would_name_another_file(said, tmp_path):
    (tmp_path / "elsewhere" / "inner").mkdir(parents=True)
    (tmp_path / "deploy" / "link").symlink_to(tmp_path / "elsewhere" / "inner")
    assert said('model = "link/../net.onnx"').get("model") == "deploy/link/../net.onnx"


def test_without_an_output_it_is_named_after_the_recipe(said):
    assert said('model = "a.onnx"').output == "deploy/net.opt.onnx"
    assert said('output = "b.onnx"').output == "deploy/b.onnx"


def test_the_table_of_a_command_holds_its_own_options(said):
    recipe = said('model = "a.onnx"\n[bench]\nrounds = 7\n')
    assert recipe.settings["bench"]["rounds"].value == 7
    assert "rounds" not in recipe.settings["optimize"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('model = "a.onnx"\noptlimit = 3', r"net.toml:2: there is no key 'optlimit'; did you mean opt-limit\?"),
        ("opt_limit = 3", r"net.toml:1: there is no key 'opt_limit'; did you mean opt-limit\?"),
        ("xyz = 3", r"net.toml:1: there is no key 'xyz'; there are: model, output, .*, extends, bench"),
        ("[bnech]\nrounds = 3", r"net.toml:1: there is no key 'bnech'; did you mean bench\?"),
        ("[bench]\nround = 3", r"net.toml:2: there is no key 'bench.round'; did you mean rounds\?"),
        ('[bench]\nmodels = ["a"]', r"net.toml:2: there is no key 'bench.models'; there are: rounds"),
        ("[optimize]\nstrict = true", r"net.toml:1: there is no key 'optimize'"),
        ('opt-limit = "3"', "net.toml:1: opt-limit must be a whole number, found '3'"),
        ("opt-limit = true", "net.toml:1: opt-limit must be a whole number, found true"),
        ("opt-limit = 1.5", "net.toml:1: opt-limit must be a whole number, found 1.5"),
        ('floor = "high"', "net.toml:1: floor must be a number, found 'high'"),
        ("strict = 1", "net.toml:1: strict must be true or false, found 1"),
        ("model = true", "net.toml:1: model must be a text, found true"),
        ('model = ""', "net.toml:1: model must be a text, found ''"),
        ('model = ["a"]', "net.toml:1: model must be a text, found"),
        ("max-drop = nan", "net.toml:1: max-drop must be a text, found nan"),
        ("max-drop = 2020-01-01", "net.toml:1: max-drop must be a text"),
        ("[model]\na = 1", "net.toml:1: model must be a text, found a table"),
        ('passes = [["clean"]]', "net.toml:1: passes must be a text, or a list of them"),
        ("plugin = [1, true]", "net.toml:1: plugin must be a text, or a list of them"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(said, text, words):
    with pytest.raises(graphopt.UsageError, match=f"^deploy/{words}"):
        said(text)


# ---- recipes that share keys ----


def test_a_recipe_extends_another(said, tmp_path):
    (tmp_path / "common.toml").write_text('opt-limit = 1\nfeeds = "x.npz"\nmodel = "m"\n[bench]\nrounds = 9', "utf-8")
    recipe = said('extends = "../common.toml"\nopt-limit = 2')
    assert (recipe.get("opt-limit"), recipe.get("feeds"), recipe.get("model")) == (2, ["x.npz"], "m")
    assert recipe.settings["bench"]["rounds"].value == 9
    assert recipe.output == "deploy/net.opt.onnx"
    assert recipe.files == (Path("deploy/net.toml"), Path("deploy/../common.toml"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('extends = "net.toml"', "does one extend itself"),
        ('extends = "none.toml"', "recipe deploy/none.toml cannot be read: No such file"),
        ("extends = 3", "net.toml:1: extends must be the name of a recipe, found 3"),
    ],
)
def test_a_recipe_that_cannot_be_extended(said, text, words):
    with pytest.raises(graphopt.UsageError, match=words):
        said(text)


def test_what_looks_like_a_recipe(said, tmp_path):
    said('model = "m.onnx"')
    said('extends = "net.toml"', "child.toml")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'", "utf-8")
    (tmp_path / "common.toml").write_text("strict = true", "utf-8")
    (tmp_path / "other.toml").write_text("[model]\nx = 1", "utf-8")
    found = [path.name for path in sorted(tmp_path.rglob("*.toml")) if declares_model(path)]
    assert found == ["child.toml", "net.toml"]
