"""`--recipe` and `graphopt init`: a compile declared in a file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import typer

from graphopt.cli.app import application
from tests.cli.conftest import ROOT, process, run
from tests.support import operators, proto

RULES = (ROOT / "tests" / "cli" / "planted.py").read_text("utf-8").replace('"right"', '"mine"')
RULES = RULES.replace('"planted"', '"mine_too"').replace('"texts"', '"mine_as_well"')


@pytest.fixture
def recipe(model, here):
    """Writes a recipe for the model into a folder beside it."""
    (here / "deploy").mkdir()

    def write(text=""):
        path = Path("deploy/net.toml")
        path.write_text(f'model = "../{model}"\npasses = "clean"\nverify = "off"\n{text}', "utf-8")
        return path

    return write


def test_a_recipe_is_all_that_is_needed(recipe):
    result = run("optimize", "--recipe", recipe())
    assert (result.exit_code, result.stderr) == (0, "")
    assert operators(onnx.load("deploy/net.opt.onnx"))["Relu"] == 1


def test_the_command_line_comes_before_the_recipe(recipe, written):
    other = written("agraph (float[4] x) => (float[4] y) { a = Identity(x) y = Exp(a) }", "other.onnx")
    path = recipe('output = "net.onnx"\nreport = "net.json"')
    result = run("optimize", other, "--recipe", path, "-o", "out.onnx", "--passes", "freeze", "--report", "r.txt")
    assert (result.exit_code, result.stderr) == (0, "")
    assert dict(operators(onnx.load("out.onnx"))) == {"Identity": 1, "Exp": 1}
    assert sorted(path.name for path in Path("deploy").iterdir()) == ["net.toml"]
    assert Path("r.txt").exists()


def test_plugins_may_lie_beside_the_recipe(recipe, here):
    (here / "deploy" / "mine.py").write_text(RULES, "utf-8")
    path = recipe()
    path.write_text('model = "../model.onnx"\nplugin = "mine"\npasses = "mine"\nverify = "off"\n', "utf-8")
    result = process("optimize", "--recipe", path, "--depfile", "deps", PYTHONDONTWRITEBYTECODE="1")
    assert result.returncode == 0, result.stderr
    assert "relu_twice 1" in result.stdout
    rule = (here / "deps").read_text("utf-8").partition("\n\n")[0]
    assert rule.split(" \\\n  ") == ["deploy/net.opt.onnx :", "model.onnx", "deploy/net.toml", "deploy/mine.py"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("verfy = 1", "deploy/net.toml:4: there is no key 'verfy'; did you mean verify?"),
        ("seed = -1", "deploy/net.toml:4: seed: "),
        ('seed = "x"', "deploy/net.toml:4: seed must be a whole number, found 'x'"),
        ("[compare]\ncontrct = 1", "deploy/net.toml:5: there is no key 'compare.contrct'; did you mean contract?"),
        ('output = "../model.onnx"', "model.onnx is the input itself"),
        ("seed = ", "recipe deploy/net.toml is not TOML: Invalid value (at line 4, column 8)"),
        ('extends = "none.toml"', "recipe deploy/none.toml cannot be read: No such file"),
        ('extends = "bad.toml"', "deploy/bad.toml:2: verify: 'maybe' is not one of 'off', 'structure'"),
    ],
)
def test_what_is_wrong_in_a_recipe(recipe, here, text, sentence):
    (here / "deploy" / "bad.toml").write_text("\nverify = 'maybe'", "utf-8")
    path = recipe(text + "\n")
    if "bad.toml" in text:
        path.write_text(path.read_text("utf-8").replace('verify = "off"\n', ""), "utf-8")
    result = run("optimize", "--recipe", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("deploy/net.opt.onnx").exists()


def test_without_a_model_it_is_asked_for(here):
    Path("net.toml").write_text('passes = "clean"', "utf-8")
    result = run("optimize", "--recipe", "net.toml")
    assert result.exit_code == 2
    assert "Missing argument 'MODEL'" in result.stderr


def test_a_recipe_that_is_not_there(here):
    result = run("optimize", "--recipe", "none.toml")
    assert (result.exit_code, result.stderr) == (
        2,
        "graphopt: recipe none.toml cannot be read: No such file or directory\n",
    )


def test_models_are_compared_by_the_recipe(recipe):
    path = recipe('[compare]\ncontract = "exact"\n')
    run("optimize", "--recipe", path)
    result = run("compare", "--recipe", path)
    assert result.exit_code == 0
    assert "model.onnx  <->  deploy/net.opt.onnx" in result.stdout
    assert "B agrees with A exactly" in result.stdout


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("", {}),
        ('feeds = "x.npz"', {"feeds": "deploy/x.npz"}),
        ('feeds = "x.npz"\ndata = "y.npz"', {"data": "deploy/y.npz"}),
        ('feeds = "x.npz"\ndata = "y.npz"\n[bench]\nfeeds = "z.npz"', {"feeds": "deploy/z.npz"}),
        ('data = "y.npz"\nreport = "r.json"\n[bench]\nthreads = [1, 2]', {"data": "deploy/y.npz", "threads": "1,2"}),
    ],
)
def test_other_commands_get_what_concerns_them(recipe, text, given):
    command = typer.main.get_group(application()).commands["bench"]
    path = recipe(text)
    asked = command.make_context("bench", ["--recipe", str(path)]).params
    default = command.make_context("bench", ["model.onnx", "deploy/net.opt.onnx"]).params
    changed = {name: str(value) for name, value in asked.items() if value != default[name] and name != "recipe"}
    assert changed == given


# ---- depfiles ----


def test_a_depfile_says_on_what_the_output_depends(model, here):
    np.savez(here / "x.npz", x=np.zeros((3, 4), np.float32))
    arguments = ("optimize", model, "-o", "out.onnx", "--passes", "clean", "--feeds", "x.npz", "--verify=off")
    assert run(*arguments, "--depfile", "deps").exit_code == 0
    assert (here / "deps").read_text("utf-8") == "out.onnx : \\\n  model.onnx \\\n  x.npz\n\nmodel.onnx :\n\nx.npz :\n"


def test_an_output_that_make_cannot_name(model, here):
    result = run("optimize", model, "-o", "a;b.onnx", "--passes", "clean", "--verify=off", "--depfile", "deps")
    assert result.exit_code == 2
    assert "make has no way to spell the file name 'a;b.onnx'" in result.stderr
    assert sorted(path.name for path in here.iterdir()) == ["model.onnx"]


# ---- weights that stay where they are ----


@pytest.fixture
def heavy(here):
    weights = {"w": np.ones((64, 64), np.float32)}
    message = proto("agraph (float[n, 64] x) => (float[n, 64] y) { a = MatMul(x, w) b = Relu(a) y = Relu(b) }", weights)
    (here / "models").mkdir()
    onnx.save(message, "models/m.onnx", save_as_external_data=True, location="w.data", size_threshold=0)
    return "models/m.onnx"


HEAVY = ("--passes", "clean", "--verify=off", "--reference-weights")


def location(path):
    return {
        entry.key: entry.value for entry in onnx.load(path, load_external_data=False).graph.initializer[0].external_data
    }["location"]


@pytest.mark.parametrize(("output", "expected"), [("models/out.onnx", "w.data"), ("out.onnx", "models/w.data")])
def test_weights_are_pointed_at(heavy, output, expected):
    result = run("optimize", heavy, "-o", output, *HEAVY)
    assert (result.exit_code, result.stderr) == (0, "")
    assert location(output) == expected
    assert not Path(f"{output}.data").exists()
    assert onnx.numpy_helper.to_array(onnx.load(output).graph.initializer[0]).sum() == 64 * 64
    assert run("compare", heavy, output).exit_code == 0


def test_weights_outside_the_folder_are_pointed_at_only_if_allowed(heavy, here):
    (here / "build").mkdir()
    arguments = ("optimize", heavy, "-o", "build/out.onnx", *HEAVY)
    result = run(*arguments)
    assert result.exit_code == 2
    assert "cannot refer to weights in" in result.stderr
    assert "--allow-outside" in result.stderr
    assert list((here / "build").iterdir()) == []
    assert run(*arguments, "--allow-outside").exit_code == 0
    assert location("build/out.onnx") == "../models/w.data"


def test_weights_cannot_be_pointed_at_and_be_inside(heavy):
    result = run("optimize", heavy, "-o", "out.onnx", *HEAVY, "--no-external-data")
    assert result.exit_code == 2
    assert "contradict each other" in result.stderr


# ---- init ----


def test_a_recipe_to_begin_with(here, written):
    written("agraph (float[n, 4] x, int64[2] k) => (float[n, 4] y) { y = Relu(x) }", "net.onnx")
    np.savez(here / "fits.npz", x=np.zeros((3, 4), np.float32), k=np.zeros(2, np.int64))
    np.savez(here / "other.npz", z=np.zeros(3))
    (here / "broken.npz").write_text("no zip")
    result = run("init")
    assert (result.exit_code, result.stdout) == (0, "wrote net.toml; now: graphopt optimize --recipe net.toml\n")
    text = Path("net.toml").read_text("utf-8")
    assert 'model = "net.onnx"\n' in text
    assert "#   takes  x  float32  [n, 4]\n#   takes  k  int64  [2]\n#   gives  y  float32  [n, 4]\n" in text
    assert '# feeds = "fits.npz"\n' in text
    assert "other.npz" not in text
    assert run("optimize", "--recipe", "net.toml", "--verify=off").exit_code == 0
    assert Path("net.opt.onnx").exists()
    assert run("init").exit_code == 2  # it is there already
    assert Path("net.toml").read_text("utf-8") == text


def test_a_recipe_is_replaced_only_by_force(model):
    Path("a.toml").write_text("mine", "utf-8")
    result = run("init", "a.toml", "--model", model)
    assert result.exit_code == 2
    assert "a.toml is there already" in result.stderr
    assert Path("a.toml").read_text("utf-8") == "mine"
    assert run("init", "a.toml", "--model", model, "--force").exit_code == 0
    assert 'model = "model.onnx"' in Path("a.toml").read_text("utf-8")


def test_a_recipe_in_another_folder_finds_its_model(model, here):
    (here / "deploy").mkdir()
    assert run("init", "deploy/net.toml", "--model", model).exit_code == 0
    assert 'model = "../model.onnx"' in Path("deploy/net.toml").read_text("utf-8")
    assert run("optimize", "--recipe", "deploy/net.toml", "--verify=off").exit_code == 0


def test_names_out_of_a_model_stay_in_their_comment(here):
    message = proto("agraph (float[4] x) => (float[4] y) { y = Relu(x) }")
    message.graph.input[0].name = message.graph.node[0].input[0] = "x\nseed = 99\r\x1b[2J"
    onnx.save(message, "evil.onnx")
    assert run("init").exit_code == 0
    text = Path("evil.toml").read_text("utf-8")
    assert re.findall(r"^(?!#|$).*", text, re.MULTILINE) == ['model = "evil.onnx"']
    assert text.isprintable() or set(text) - {"\n"} == {c for c in text if c.isprintable()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "which model? The current folder has 2"),
        (("net.onnx",), "the name of a recipe ends in .toml: graphopt init --model net.onnx"),
        (("a.toml", "--model", "none.onnx"), "none.onnx: there is no such file"),
        (("none/a.toml", "--model", "model.onnx"), "there is no folder"),
    ],
)
def test_what_makes_no_recipe(model, written, arguments, words):
    written("agraph (float[4] x) => (float[4] y) { y = Relu(x) }", "net.onnx")
    result = run("init", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert list(Path().glob("*.toml")) == []
