"""`graphopt evaluate`: a table of scores, JSON, exit codes, and one sentence for everything that does not fit."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

from tests.cli.conftest import process, run
from tests.support import proto

LINEAR = "agraph (float[n, 4] x) => (float[n, 3] y) { y = MatMul(x, w) }"
RNG = np.random.default_rng(0)
W = RNG.standard_normal((4, 3)).astype(np.float32)
X = RNG.standard_normal((50, 4)).astype(np.float32)
LABELS = (X @ W).argmax(axis=1)
LABELS[:5] = (LABELS[:5] + 1) % 3


@pytest.fixture
def files(here):
    """A model that is right on 45 of 50 samples, one that gives zeros, and the samples."""
    onnx.save(proto(LINEAR, {"w": W}), "good.onnx")
    onnx.save(proto(LINEAR, {"w": 0 * W}), "zero.onnx")
    np.savez("d.npz", x=X, label=LABELS)
    return here


def told(*arguments):
    """What goes to the standard error of a run that is refused."""
    done = run("evaluate", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    return " ".join(done.stderr.split())


def test_a_table_says_how_good_models_are_and_whether_they_differ(files):
    done = run("evaluate", "good.onnx", "zero.onnx", "--data", "d.npz", "--metric", "top1", "--metric", "sqnr")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert lines[:2] == ["A good.onnx", "B zero.onnx"]
    assert any(line.startswith("top1 A 90.00 %") for line in lines)
    assert any(line.startswith("B 3") and line.endswith("worse") and "points" in line for line in lines)
    assert any(line.startswith("sqnr B 0.0 dB") for line in lines)
    assert "sqnr: compared with good.onnx." in lines


def test_a_model_beside_itself_is_the_same(files):
    done = run("evaluate", "good.onnx", "good.onnx", "--data", "d.npz")
    assert "+0.00 points" in done.stdout
    assert "same" in done.stdout
    assert "sqnr" not in done.stdout


def test_top1_is_what_is_asked_for_if_nothing_is(files):
    record = json.loads(run("evaluate", "good.onnx", "--data", "d.npz", "--json").stdout)
    assert [one["name"] for one in record["metrics"]] == ["top1"]
    assert record["models"][0]["scores"][0]["value"]["value"] == pytest.approx(0.9)


def test_options_say_how_data_is_read(files):
    np.savez("pixels.npz", q=(X * 10 + 50).astype(np.uint8), kind=LABELS + 1)
    (files / "kinds.csv").write_text("\n".join(str(label) for label in LABELS))
    arguments = [
        "evaluate",
        "good.onnx",
        "--data",
        "pixels.npz",
        "--preprocess",
        "mean=50:std=10",
        "--input",
        "x=q",
        "--json",
    ]
    for more in (["--label", "kind", "--label-offset", "-1"], ["--labels", "kinds.csv"]):
        record = json.loads(run(*arguments, *more, "--limit", "40", "--batch", "16").stdout)
        assert record["samples"] == 40
        assert record["models"][0]["scores"][0]["value"]["value"] > 0.8


def test_metrics_and_data_may_be_functions_of_the_current_folder(files):
    (files / "mine.py").write_text(
        "import numpy as np\n"
        "def samples():\n    held = np.load('d.npz')\n    yield from zip(held['x'], held['label'])\n"
        "def right(outputs, labels):\n    return outputs['y'].argmax(1) == labels\n"
    )
    done = process("evaluate", "good.onnx", "--data", "mine:samples", "--metric", "mine:right", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["models"][0]["scores"][0]["value"]["value"] == pytest.approx(0.9)


def test_a_recipe_says_it_all(files):
    (files / "deploy.toml").write_text(
        'model = "good.onnx"\noutput = "zero.onnx"\ndata = "d.npz"\n\n[evaluate]\nmetric = ["top1", "cosine"]\n'
    )
    record = json.loads(run("evaluate", "--recipe", "deploy.toml", "--json").stdout)
    assert [one["model"] for one in record["models"]] == ["good.onnx", "zero.onnx"]
    assert [one["name"] for one in record["metrics"]] == ["top1", "cosine"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["good.onnx", "--data", "none.npz"], "none.npz: there is no such file or folder"),
        (["none.onnx", "--data", "d.npz"], "none.onnx"),
        (["good.onnx", "--data", "d.npz", "--metric", "best"], "there is no metric 'best'; there are: top1, top5"),
        (["good.onnx", "--data", "d.npz", "--provider", "tpu"], "there is no provider 'tpu'"),
        (["good.onnx", "--data", "d.npz", "--metric", "sqnr"], "sqnr: give a second model"),
        (["good.onnx", "--data", "d.npz", "--label-offset", "1"], "but the model knows classes 0 to 2"),
        (["good.onnx", "--data", "d.npz", "--label", "kind"], "no array 'kind' of labels; it has 'x' float32 [50, 4]"),
        (
            ["good.onnx", "--data", "d.npz", "--input", "x"],
            "--input x: write the name of an input and that of an array",
        ),
        (["good.onnx", "--data", "d.npz", "--preprocess", "vgg"], "there is no preprocessing 'vgg'"),
        (["good.onnx", "--data", "mine:samples"], "mine:samples: there is no module 'mine'"),
        (["good.onnx", "--data", "good.onnx"], "data is read from .npz, .npy, .safetensors, .txt files"),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(files, arguments, said):
    assert said in told(*arguments)


@pytest.mark.parametrize(
    "arguments", [["good.onnx"], ["--data", "d.npz"], ["good.onnx", "--data", "d.npz", "--nan", "maybe"]]
)
def test_what_is_missing_is_asked_for(files, arguments):
    assert run("evaluate", *arguments).exit_code == 2
