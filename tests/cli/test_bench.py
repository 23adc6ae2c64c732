"""`graphopt bench`: options, tables, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from graphopt.measure import course, memory
from tests.cli.conftest import run
from tests.measure.test_bench import RELU, TANH


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Everything happens in this process, and at once."""
    monkeypatch.setattr(course, "isolated", lambda _, function, *arguments: function(*arguments))
    monkeypatch.setattr(memory, "restrict", lambda: None)
    monkeypatch.setattr(course, "FEWEST", 1)
    monkeypatch.setattr(course, "MOST", 1)
    monkeypatch.setattr(course, "PROCESS_S", 0.001)


@pytest.fixture
def models(written):
    return written(RELU, "relu.onnx"), written(TANH, "tanh.onnx")


def test_the_table_names_the_models(models):
    result = run("bench", *models, "--profile")
    assert result.exit_code == 0, result.stderr
    for words in ("A      relu.onnx", "B      tanh.onnx", "times as fast as A.", "Tanh", "onnxruntime"):
        assert words.replace("A      ", "A  ").replace("B      ", "B  ") in result.stdout


def test_every_setting_is_measured(models):
    record = json.loads(run("bench", *models, "--threads", "1,2", "--batch", "1,3", "--json").stdout)
    assert [(one["batch"], one["threads"]) for one in record["settings"]] == [(1, 1), (1, 2), (3, 1), (3, 2)]
    assert record["settings"][0]["models"][1]["model"] == "tanh.onnx"


def test_sizes_of_free_dimensions(models):
    for option in ("--dim", "--size"):
        record = json.loads(run("bench", models[0], option, "batch=5", "--json").stdout)
        assert record["settings"][0]["inputs"] == {"x": "float[5, 4]"}


def test_inputs_out_of_a_file(models, here):
    np.savez(here / "feeds.npz", x=np.zeros((7, 4), np.float32))
    for option in ("--feeds", "--data"):
        record = json.loads(run("bench", models[0], option, "feeds.npz", "--batch", "7", "--json").stdout)
        assert record["settings"][0]["batch"] == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "1,x"], "--batch 1,x: write numbers with commas in between"),
        (["--threads", "-1"], "the number of threads must be 1 to"),
        (["--batch", "0"], "a batch must have 1 to"),
        (["--provider", "abacus"], "there is no provider 'abacus'"),
        (["--dim", "batch"], "write the name of a dimension and a number"),
        (["--feeds", "none.npz"], "none.npz: there is no such file"),
        (["none.onnx"], "none.onnx: there is no such file"),
    ],
)
def test_what_does_not_fit_is_refused(models, arguments, message):
    result = run("bench", models[0], *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
