"""Pages about benchmarks and evaluations of any number of models."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from graphopt.report.formats import BENCH, EVALUATION
from graphopt.report.headline import TIMES
from tests.report import reports

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


def words(page):
    """What stands on a page."""
    body = page.partition("<body>")[2]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def benchmark(count):
    """A benchmark of so many models."""
    (setting,) = reports.BENCH.settings
    models = tuple(replace(setting.models[min(i, 1)], model=f"dir/m{i}.onnx") for i in range(count))
    return replace(
        reports.BENCH, models=tuple(one.model for one in models), settings=(replace(setting, models=models),)
    )


def evaluation(count):
    models = tuple(replace(reports.EVALUATION.models[min(i, 1)], model=f"dir/m{i}.onnx") for i in range(count))
    return replace(reports.EVALUATION, models=models, reference="dir/m0.onnx")


def test_a_benchmark_of_two_opens_with_how_they_compare():
    said = words(BENCH[".html"](benchmark(2)))
    assert f"Speed-up 2.00{TIMES} 2.00 ms → 1.00 ms at batch 1" in said
    assert "Accuracy change not measured say graphopt evaluate" in said
    assert "A m0.onnx" in said
    assert "after the runtime's own fusions" in said.replace("&#39;", "'")


@pytest.mark.parametrize("count", [1, 2, 7])
def test_any_number_of_models_can_be_measured(count):
    for page in (BENCH[".html"](benchmark(count)), EVALUATION[".html"](evaluation(count))):
        said = words(page)
        assert f"dir/m{count - 1}.onnx" in said
        assert ("give two models" in said) == (count == 1)
        assert "<script" not in page


def test_an_evaluation_tells_scores_and_differences():
    said = words(EVALUATION[".html"](evaluation(2)))
    assert "Accuracy change -2.00 points" in said
    assert "88.00 % 83.00 to 93.00 -2.00 points -3.00 to -1.00 worse" in said
    assert "compared with dir/m0.onnx" in said


@pytest.mark.parametrize(("formats", "record"), [(BENCH, reports.BENCH), (EVALUATION, reports.EVALUATION)])
def test_every_format_has_them(formats, record):
    for ending, part in ((".md", "    "), (".txt", "out.onnx"), (".json", '"schema": 1')):
        text = formats[ending](record)
        assert part in text
        assert text.endswith("\n")
