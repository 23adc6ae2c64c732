"""`graphopt optimize` within a budget: what it writes, says, and exits with."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.cli.conftest import ROOT, run

DIGITS = ROOT / "models" / "digits.onnx"
SMALL = ("optimize", DIGITS, "-o", "out.onnx", "--plugin", "tests.budget.planted", "--verify", "off")


@pytest.fixture
def data(here):
    held = np.load(ROOT / "models" / "digits.test.npz")
    np.savez(here / "val.npz", image=held["image"][:100], label=held["label"][:100])
    return ("--data", "val.npz", "--metric", "top1")


def words(text):
    return " ".join(text.split())


def test_a_budget_that_is_kept(here, data):
    result = run(*SMALL, "--passes=clean,small", *data, "--max-drop=1%", "--max-size=80kB")
    assert result.exit_code == 0, result.output
    said = words(result.stdout)
    assert "max-drop 1% is kept: top1, of which the original has 99.00 %, gets worse by 0.00 points" in said
    assert "max-size 80kB is kept: the file has 71.6 KB, that of the original 234.9 KB" in said
    assert "small_conv at Conv /6/6.0/Conv was left out for max-drop: it costs" in said
    assert (here / "out.onnx").stat().st_size == pytest.approx(71_600, abs=100)


def test_a_missed_budget_exits_with_1_and_writes_nothing(here):
    result = run(*SMALL, "--passes=big,clean", "--max-size=100kB", "--report=r.json", "--depfile=out.d")
    assert result.exit_code == 1
    assert "max-size 100kB is missed: the file has 23" in result.stderr
    assert "What cost most of it was pass big, which is left out already: 1.0 MB" in result.stderr
    assert "Nothing was written" in result.stderr
    assert "max-size 100kB is missed" in words(result.stdout)
    assert sorted(path.name for path in here.iterdir()) == []


def test_keep_writes_the_best_all_the_same(here):
    result = run(*SMALL, "--passes=big,clean", "--max-size=100kB", "--report=r.json", "--keep", "--quiet")
    assert result.exit_code == 1
    assert "written all the same (--keep)" in result.stderr
    assert result.stdout == ""
    assert (here / "out.onnx").stat().st_size < 300_000
    budget = json.loads((here / "r.json").read_text())["budget"]
    assert budget["limits"][0]["met"] is False
    assert budget["left_out"][0]["step"] == "big"


def test_the_report_in_markdown_tells_of_the_budget(here):
    run(*SMALL, "--passes=small,big", "--max-size=100kB", "--report=r.md")
    text = (here / "r.md").read_text()
    assert "## Budget\n\n- max-size 100kB is kept" in text
    assert "## Left out\n\n- pass big was left out for max-size: it costs 1.0 MB." in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--max-drop=1%"], "max-drop needs data and a metric to measure it with (--data, --metric)"),
        (["--max-drop=1"], "max-drop needs data"),
        (["--max-latency=5"], "max-latency: '5' has no unit: write 5ms"),
        (["--max-size=-8MB"], "max-size must be above 0 and finite, found -8MB"),
        (["--metric=top1"], "metric without data"),
        (["--data=val.npz", "--metric=top1"], "val.npz: there is no such file"),
        (["--keep"], "--keep is for results that break a limit"),
        (["--max-size=10B"], "the model's outputs and metadata alone take"),
    ],
)
def test_budgets_that_make_no_sense_exit_with_2(here, options, said):
    result = run(*SMALL, "--passes=small", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(here.iterdir()) == []
