"""Reports in files: every format, from every command that writes them."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from graphopt.measure.statistics import Ratio
from graphopt.report.schema import report_schema
from tests.cli.conftest import PLUGIN, run
from tests.report.reports import BENCH

RIGHT = (*PLUGIN, "--passes", "right")
OUT = ("-o", "out.onnx")


def optimized(model, *options):
    done = run("optimize", model, *OUT, *RIGHT, *options)
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture
def bench(monkeypatch):
    """Takes the place of measuring; notes what it was asked to measure."""
    asked = {}

    def measure(models, **options):
        asked.update(options, models=models)
        return BENCH

    monkeypatch.setattr("graphopt.measure.bench.bench", measure)
    return asked


@pytest.mark.parametrize(
    ("ending", "begin"), [(".html", "<!doctype html>"), (".md", "# model.onnx"), (".json", "{"), (".txt", "model.onnx")]
)
def test_the_ending_chooses_the_format(model, here, ending, begin):
    if ending == ".html":
        pytest.importorskip("matplotlib")
        pytest.importorskip("jinja2")
    optimized(model, "--report", f"report{ending}")
    assert (here / f"report{ending}").read_text("utf-8").startswith(begin)


def test_several_reports(model, here):
    optimized(model, "--report", "a.md", "--report", "b.json")
    assert (here / "a.md").read_text("utf-8").startswith("# model.onnx")
    assert json.loads((here / "b.json").read_text("utf-8"))["model"] == "model.onnx"


@pytest.mark.parametrize("command", [("optimize", *OUT), ("bench",), ("evaluate", "--data", "x.npz")])
def test_two_reports_of_one_name_are_refused_before_any_work(model, command):
    done = run(*command, model, "--report", "a.md", "--report", "./a.md")
    assert (done.exit_code, "two outputs have the name a.md" in done.stderr) == (2, True)


def test_the_json_is_the_same_in_a_file_and_printed_and_fits_its_schema(model, here):
    jsonschema = pytest.importorskip("jsonschema")
    printed = json.loads(optimized(model, "--json", "--report", "report.json").stdout)
    assert printed == json.loads((here / "report.json").read_text("utf-8"))
    jsonschema.validate(printed, report_schema())
    assert printed["before"]["file_bytes"] == (here / "model.onnx").stat().st_size
    assert printed["after"]["file_bytes"] == (here / "out.onnx").stat().st_size
    assert printed["environment"]["cores"] > 0


def test_external_weights_count_as_part_of_the_file(model, here):
    optimized(model, "--external-data", "--report", "report.json")
    record = json.loads((here / "report.json").read_text("utf-8"))
    files = sum(path.stat().st_size for path in here.glob("out.onnx*"))
    assert record["after"]["file_bytes"] == files


def test_layers_tell_what_they_hold_and_cost(written, here):
    weights = "float[4, 3] w = {1,2,3,4,5,6,7,8,9,10,11,12}"
    text = f"agraph (float[n, 4] x) => (float[n, 3] y) <{weights}> {{ [a] y = MatMul(x, w) }}"
    optimized(written(text), "--report", "report.json")
    (layer,) = json.loads((here / "report.json").read_text("utf-8"))["layers"]
    assert (layer["name"], layer["parameters"], layer["macs"], layer["seconds"]) == ("a", 12, 12, None)


def test_nothing_is_measured_unasked(model, bench):
    assert "as fast" not in optimized(model).stdout
    assert bench == {}


def test_both_models_are_timed_on_request(model, here, bench):
    done = optimized(model, "--measure", "--report", "report.json", "--seed", "3")
    assert [str(path) for path in bench["models"]] == ["model.onnx", "out.onnx"]
    assert (bench["profile"], bench["seed"], bench["feeds"], bench["data"]) == (True, 3, None, None)
    assert "as fast" in done.stdout
    ratio = json.loads((here / "report.json").read_text("utf-8"))["bench"]["settings"][0]["models"][1]["ratio"]
    assert Ratio(**ratio) == Ratio(0.5, 0.4, 0.6)


def test_they_are_timed_on_the_inputs_that_were_given(model, here, bench):
    np.savez(here / "feeds.npz", x=np.ones((2, 4), np.float32))
    optimized(model, "--measure", "--feeds", "feeds.npz")
    assert bench["feeds"]["x"].shape == (2, 4)


def test_without_the_packages_of_pages_it_says_what_to_install_before_any_work(model, here, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("graphopt.extras.find_spec", lambda name: None if name == "matplotlib" else found(name))
    done = run("optimize", model, *OUT, "--report", "report.html")
    assert (done.exit_code, "needs matplotlib: pip install 'graphopt[report]'" in done.stderr) == (2, True)
    assert not (here / "out.onnx").exists()


@pytest.mark.parametrize("command", [("optimize", *OUT), ("bench",), ("evaluate", "--data", "d.npz")])
def test_an_unknown_ending_is_refused_before_any_work(model, command):
    done = run(command[0], model, *command[1:], "--report", "report.pdf")
    assert (done.exit_code, "must end in .json, .html, .md, .txt" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", [("optimize", *OUT), ("bench",), ("evaluate", "--data", "d.npz")])
def test_a_report_does_not_overwrite_the_model(written, command):
    path = written("agraph (float[4] x) => (float[4] y) { y = Relu(x) }", "model.txt")
    done = run(command[0], path, *command[1:], "--report", "model.txt")
    assert (done.exit_code, "is the input itself" in done.stderr) == (2, True)


@pytest.mark.parametrize("ending", [".md", ".json", ".txt"])
def test_evaluations_are_reported(model, here, ending):
    np.savez(here / "data.npz", x=np.ones((4, 4), np.float32))
    done = run("evaluate", model, model, "--data", "data.npz", "--metric", "cosine:output=y", "--report", f"r{ending}")
    assert done.exit_code == 0, done.output
    assert "data.npz" in (here / f"r{ending}").read_text("utf-8")


def test_benchmarks_are_reported(model, here, bench):
    assert run("bench", model, model, "--report", "r.json").exit_code == 0
    assert json.loads((here / "r.json").read_text("utf-8"))["models"] == ["m.onnx", "out.onnx"]
