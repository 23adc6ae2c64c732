"""Whatever is wrong with the input: one clear sentence, exit code 2, nothing written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.cli.conftest import MIXED, PLUGIN, process, run
from tests.support import proto


def content(path):
    """Everything below a folder, by name."""
    return {p.relative_to(path): p.read_bytes() if p.is_file() else None for p in path.rglob("*")}


MODEL_FILES = {
    "missing": (None, "there is no such file"),
    "empty": (b"", "the file is empty"),
    "text": (b"Dear model,\nplease be smaller.\n", "text"),
    "truncated": (proto(MIXED).SerializeToString()[:-40], "no ONNX model"),
    "torch": (b"PK\x03\x04" + bytes(26) + b"model/data.pkl" + bytes(100), "torch.onnx.export"),
    "web page": (b"<!DOCTYPE html><html></html>", "web page"),
}


@pytest.mark.parametrize("kind", MODEL_FILES)
@pytest.mark.parametrize(
    "command",
    [
        ("optimize", "bad.onnx", "-o", "out.onnx", *PLUGIN, "--passes", "right"),
        ("inspect", "bad.onnx", "--no-passes"),
        ("why", "bad.onnx", *PLUGIN, "--rule", "fussy", "--passes", ""),
        ("compare", "bad.onnx", "bad.onnx"),
    ],
    ids=lambda command: command[0],
)
def test_a_file_that_is_no_model(here, kind, command):
    held, part = MODEL_FILES[kind]
    if held is not None:
        (here / "bad.onnx").write_bytes(held)
    before = content(here)
    result = run(*command)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("graphopt: bad.onnx: ")
    assert part in result.stderr
    assert result.stderr.count("\n") == 1
    assert content(here) == before


def test_a_folder_is_no_model(here):
    result = run("optimize", here, "-o", "out.onnx", *PLUGIN, "--passes", "right")
    assert result.exit_code == 2
    assert "a folder" in result.stderr


OPTIMIZE = ("optimize", "model.onnx", "-o", "out.onnx")
ARGUMENTS = [
    ((*OPTIMIZE, *PLUGIN, "--passes", "rihgt"), "there is no pass 'rihgt'; did you mean right?"),
    ((*OPTIMIZE, *PLUGIN, "--passes", "right:onyl=fussy"), "no option 'onyl'; its options: only, skip"),
    ((*OPTIMIZE, *PLUGIN, "--passes", "right:only=fusy"), "no rule 'fusy'"),
    ((*OPTIMIZE, *PLUGIN, "--passes", "right,,right"), "expected the name of a pass at position 7"),
    ((*OPTIMIZE, *PLUGIN, "--passes", "fix(right"), "expected , or )"),
    ((*OPTIMIZE, *PLUGIN, "--passes", ""), "expected the name of a pass"),
    ((*OPTIMIZE, *PLUGIN, "--passes", "@missing.toml"), "missing.toml"),
    ((*OPTIMIZE, "--plugin", "no_such_module"), "plugin no_such_module cannot be loaded"),
    ((*OPTIMIZE, "--plugin", "rules.py"), "not a file, such as rules"),
    ((*OPTIMIZE, "--plugin", "json"), "plugin json cannot be loaded"),
    ((*OPTIMIZE, *PLUGIN, *PLUGIN, "--passes", "nothing"), "there is no pass 'nothing'"),
    ((*OPTIMIZE, "--report", "r.pdf"), "must end in .json, .html, .md, .txt"),
    ((*OPTIMIZE, "--report", "out.onnx"), "two outputs"),
    ((*OPTIMIZE, "--report", "none/r.txt"), "mkdir -p makes it"),
    (("optimize", "model.onnx", "-o", "model.onnx"), "is the input itself"),
    (("optimize", "model.onnx", "-o", "./model.onnx"), "is the input itself"),
    (("optimize", "model.onnx", "-o", "link.onnx"), "is the input itself"),
    (("optimize", "model.onnx", "-o", "hard.onnx"), "is the input itself"),
    (("optimize", "link.onnx", "-o", "model.onnx"), "is the input itself"),
    (("optimize", "model.onnx", "-o", "none/out.onnx"), "there is no folder"),
    (("optimize", "model.onnx", "-o", "folder"), "is a folder"),
    (("why", "model.onnx", *PLUGIN, "--rule", "fusy"), "there is no rule 'fusy'; did you mean fussy"),
    (("passes", "fusy", *PLUGIN), "there is no pass or rule 'fusy'; did you mean fussy"),
    (("inspect", "model.onnx", "--dim", "n"), "a number, such as batch=1"),
    (("inspect", "model.onnx", "--dim", "m=3"), "no free dimension 'm'; they have: n"),
    (("compare", "model.onnx", "model.onnx", "--contract", "close(x)"), "not a number"),
    (("compare", "model.onnx", "model.onnx", "--contract", "near"), "is no contract"),
    (("compare", "model.onnx", "model.onnx", "--feeds", "none.npz"), "none.npz: there is no such file"),
    (("compare", "model.onnx", "model.onnx", "--feeds", "model.onnx"), "cannot be read as an .npz file: it is none"),
]


@pytest.mark.parametrize(("arguments", "part"), ARGUMENTS, ids=lambda value: value if isinstance(value, str) else "")
def test_arguments_that_do_not_fit(model, here, arguments, part):
    Path("link.onnx").symlink_to("model.onnx")
    Path("hard.onnx").hardlink_to("model.onnx")
    (here / "folder").mkdir()
    before = content(here)
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert part in result.stderr
    assert "Traceback" not in result.stderr
    assert content(here) == before


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("optimise", "model.onnx"), "optimise"),
        (("optimize", "model.onnx"), "--output"),
        (("optimize", "model.onnx", "-o", "out.onnx", "--fast"), "--fast"),
        (("optimize", "model.onnx", "-o", "out.onnx", "--verify", "maybe"), "maybe"),
        (("optimize", "model.onnx", "-o", "out.onnx", "--seed", "-1"), "--seed"),
        (("optimize", "model.onnx", "-o", "out.onnx", "--opt-limit", "few"), "--opt-limit"),
        (("why", "model.onnx"), "--rule"),
        (("compare", "model.onnx"), "B"),
    ],
)
def test_usage_errors_of_the_program_itself(model, here, arguments, part):
    before = content(here)
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert part in result.stderr
    assert content(here) == before


def test_an_output_that_holds_weights_of_the_input(here):
    weights = {"w": np.ones((64, 64), np.float32)}
    message = proto("agraph (float[n, 64] x) => (float[n, 64] y) { a = MatMul(x, w) y = Relu(a) }", weights)
    onnx.save(message, "m.onnx", save_as_external_data=True, location="w.data", size_threshold=0)
    before = content(here)
    for output in (("-o", "w.data"), ("-o", "w"), ("-o", "out.onnx", "--depfile", "w.data")):
        result = run("optimize", "m.onnx", *output, *PLUGIN, "--passes", "right")
        assert result.exit_code == 2
        assert "weights of the model itself" in result.stderr
        assert content(here) == before


def test_data_outside_the_folder_is_refused_unless_allowed(here):
    weights = {"w": np.ones((64, 64), np.float32)}
    message = proto("agraph (float[n, 64] x) => (float[n, 64] y) { a = MatMul(x, w) y = Relu(a) }", weights)
    (here / "sub").mkdir()
    onnx.save(message, "m.onnx", save_as_external_data=True, location="w.data", size_threshold=0)
    text = (here / "m.onnx").read_bytes()
    message = onnx.ModelProto.FromString(text)
    message.graph.initializer[0].external_data[0].value = "../w.data"
    (here / "sub" / "m.onnx").write_bytes(message.SerializeToString())
    arguments = ("optimize", "sub/m.onnx", "-o", "out.onnx", *PLUGIN, "--passes", "right", "--verify=off")
    result = run(*arguments)
    assert result.exit_code == 2
    assert "--allow-outside" in result.stderr
    assert not (here / "out.onnx").exists()
    assert run(*arguments, "--allow-outside").exit_code == 0


def test_a_read_only_folder(model, here):
    folder = here / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    result = run("optimize", model, "-o", "locked/out.onnx", *PLUGIN, "--passes", "right")
    assert result.exit_code == 2
    assert "no permission" in result.stderr


def test_names_out_of_a_file_cannot_steer_the_terminal(here):
    message = proto("agraph (float[n, 4] x) => (float[n, 4] y) { y = Relu(x) }")
    evil = "x\x1b[2J\x1b]0;owned\x07[bold red]\n\u202e"
    message.graph.input[0].name = message.graph.node[0].input[0] = evil
    message.metadata_props.add(key="k\x1b", value="v\x1b[31m")
    onnx.save(message, "evil.onnx")
    for arguments in (
        ("inspect", "evil.onnx", "--no-passes"),
        ("inspect", "evil.onnx", "--no-passes", "--json"),
        ("compare", "evil.onnx", "evil.onnx"),
        ("compare", "evil.onnx", "other.onnx"),
        ("why", "evil.onnx", *PLUGIN, "--rule", "relu_twice", "--passes", ""),
    ):
        both = run(*arguments).output
        assert "\x1b" not in both
        assert "\x07" not in both
        assert "\u202e" not in both
    assert "[bold red]" in run("inspect", "evil.onnx", "--no-passes").stdout


def test_a_terminal_that_knows_only_ascii(written):
    path = written("agraph (float[n, 4] x) => (float[n, 4] y) { y = Relu(x) }", "größe.onnx")
    result = process("inspect", path, "--no-passes", PYTHONIOENCODING="ascii")
    assert result.returncode == 0
    assert "gr\\xf6\\xdfe.onnx" in result.stdout
