"""`graphopt optimize`: what it writes, says, and exits with."""

from __future__ import annotations

import json
import re
import shlex

import numpy as np
import onnx
import pytest

from graphopt.pipeline import manager
from graphopt.pipeline.journal import Status, Verdict
from graphopt.pipeline.verify import Verifier
from tests.cli.conftest import MIXED, PLUGIN, ROOT, THING, process, run
from tests.support import operators, proto


def test_writes_the_model_and_reports_on_standard_output(model):
    result = run("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", "right")
    assert result.exit_code == 0
    assert "relu_twice 1" in result.stdout
    assert re.search(r"nodes +7 +-> +6 ", result.stdout)
    assert "agrees with the original" in result.stdout
    assert result.stderr == ""
    assert operators(onnx.load("out.onnx"))["Relu"] == 1


def test_a_pipe_gets_no_progress_and_no_colours(model):
    result = process("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", "right")
    assert result.returncode == 0
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    assert all(line == line.rstrip() for line in result.stdout.splitlines())


def test_json_is_the_report_and_nothing_else(model):
    result = run("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", "right", "--json")
    report = json.loads(result.stdout)
    assert report["pipeline"] == "right"
    assert report["after"]["nodes"] == 6
    assert [entry["rule"] for entry in report["rewrites"]] == ["relu_twice"]


def test_quiet_prints_nothing(model):
    result = run("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", "right", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_timing_lists_every_run_of_every_pass(model):
    result = run("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", "right,right", "--verify=off", "--timing")
    assert "seconds" in result.stdout
    runs = [line for line in result.stdout.splitlines() if line.split()[:1] == ["right"] and "->" in line]
    assert len(runs) == 2  # the second changed nothing


@pytest.mark.parametrize("level", ["off", "structure"])
def test_what_was_not_checked_is_said(model, level):
    result = run("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", "right", "--verify", level)
    assert result.exit_code == 0
    assert f"1 not checked (--verify {level})" in result.stdout
    assert "not compared with the original" in result.stdout


# ---- wrong and unverifiable rewrites ----


def test_a_wrong_rewrite_is_undone_alone_and_named(model):
    result = run("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", "planted")
    assert result.exit_code == 0
    assert "wrong_sigmoid was undone at Sigmoid" in result.stdout
    assert "close(16) was promised" in result.stdout
    assert operators(onnx.load("out.onnx")) == operators(proto("""
        agraph (float[n, 4] x) => (float[n, 4] y, float[n, 4] z) {
            b = Relu(x)
            c = Sigmoid(b)
            d = Tanh(c)
            y = Exp(d)
            e = Sigmoid(x)
            z = Mul(e, b)
        }"""))  # fmt: skip


def test_strict_exits_with_3_but_writes(model):
    result = run("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", "planted", "--strict")
    assert result.exit_code == 3
    assert "--strict" in result.stderr
    assert onnx.load("out.onnx").graph.node


def test_strict_is_content_with_a_clean_compile(model):
    assert run("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", "right", "--strict").exit_code == 0


TEXTS = "agraph (string[n] x, string[n] y) => (string[n] z) { z = StringConcat(x, y) }"


@pytest.mark.parametrize(
    ("text", "passes", "rule"), [(MIXED, "planted", "wrong_sigmoid"), (TEXTS, "texts", "swapped_texts")]
)
def test_the_command_of_a_reproducer_shows_the_fault(written, here, monkeypatch, text, passes, rule):
    run("optimize", written(text), "-o", "out.onnx", *PLUGIN, "--passes", passes)
    folder = here / "out.onnx.reproducers" / f"{rule}-1"
    commands = [line for line in (folder / "README.md").read_text().splitlines() if line.startswith("    graphopt ")]
    monkeypatch.chdir(folder)
    result = run(*shlex.split(commands[0])[1:])
    assert len(commands) == 1
    assert result.exit_code == 1
    assert "B differs from A" in result.stdout


def test_reproducers_go_where_they_are_asked_to(model, here):
    run("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", "planted", "--reproducers", "faults")
    assert (here / "faults" / "wrong_sigmoid-1" / "after.onnx").exists()
    assert not (here / "out.onnx.reproducers").exists()


def test_a_clean_compile_leaves_no_reproducers(model, here):
    run("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", "right")
    assert sorted(path.name for path in here.iterdir()) == ["model.onnx", "out.onnx"]


def test_what_no_runtime_can_run_is_unverified(written):
    result = run("optimize", written(THING), "-o", "out.onnx", *PLUGIN, "--passes", "planted", "--strict")
    assert result.exit_code == 3
    assert "unknown_thing was kept at Thing" in result.stdout
    assert "The whole model was not verified" in result.stdout


def test_a_wrong_whole_that_no_rewrite_explains_exits_with_1_and_writes_nothing(model, here, monkeypatch):
    monkeypatch.setattr(manager, "MAX_REPAIRS", 1)
    judge = {True: Verdict(Status.WRONG, detail="it differs"), False: Verdict(Status.VERIFIED)}
    monkeypatch.setattr(Verifier, "whole", lambda _self, context: judge[bool(context.keys)])
    result = run("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", "planted", "--verify", "full")
    assert result.exit_code == 1
    assert "gave up after 1 rewrites were found wrong, the last: relu_twice" in result.stderr
    assert result.stdout == ""
    assert not (here / "out.onnx").exists()


# ---- options ----


def test_the_limit_makes_a_prefix_of_the_rewrites(model):
    result = run("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", "right", "--opt-limit", 0, "--json")
    assert json.loads(result.stdout)["rewrites"] == []
    assert operators(onnx.load("out.onnx")) == operators(onnx.load(model))


def test_dumps_hold_the_model_after_each_pass(model, here):
    passes = "planted:only=relu_twice,right"
    run("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes", passes, "--verify=off", "--dump", "steps")
    dumps = sorted((here / "steps").iterdir())
    assert [path.name for path in dumps] == ["01-planted_only=relu_twice.onnx", "02-right.onnx"]
    assert operators(onnx.load(dumps[0]))["Relu"] == 1
    assert dumps[1].read_bytes() == (here / "out.onnx").read_bytes()


@pytest.mark.parametrize(
    ("ending", "part"), [("txt", "relu_twice 1"), ("md", "| right | -1 |"), ("json", '"pipeline"')]
)
def test_the_report_is_also_written_to_a_file(model, here, ending, part):
    result = run(
        "optimize", model, "-o", "out.onnx", *PLUGIN, "--passes=right", "--verify=off", "--report", f"r.{ending}"
    )
    assert result.exit_code == 0
    assert part in (here / f"r.{ending}").read_text("utf-8")


def test_weights_go_beside_the_model_if_asked(written, here):
    weights = {"w": np.ones((64, 64), np.float32)}
    onnx.save(proto("agraph (float[n, 64] x) => (float[n, 64] y) { a = MatMul(x, w) y = Relu(a) }", weights), "m.onnx")
    arguments = ("optimize", "m.onnx", "-o", "out.onnx", *PLUGIN, "--passes=right", "--verify=off")
    assert run(*arguments, "--external-data").exit_code == 0
    assert (here / "out.onnx.data").stat().st_size >= 64 * 64 * 4
    loaded = onnx.load("out.onnx")
    assert onnx.numpy_helper.to_array(loaded.graph.initializer[0]).sum() == 64 * 64


def test_the_default_pipeline_runs_on_a_real_network(here):
    result = run("optimize", ROOT / "models" / "digits.onnx", "-o", "out.onnx")
    assert result.exit_code == 0, result.output
    assert "rolled back" not in result.stdout
    assert onnx.load("out.onnx").graph.node


def test_inputs_of_your_own_are_used_and_must_fit(model, here):
    np.savez(here / "good.npz", x=np.zeros((3, 4), np.float32))
    np.savez(here / "bad.npz", x=np.zeros((3, 5), np.float32))
    arguments = ("optimize", model, "-o", "out.onnx", *PLUGIN, "--passes=right", "--feeds")
    assert run(*arguments, "good.npz").exit_code == 0
    result = run(*arguments, "bad.npz")
    assert result.exit_code == 2
    assert "bad.npz: input 'x' must have shape ['n', 4], found [3, 5]" in result.stderr
