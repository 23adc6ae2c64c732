"""`graphopt view`: what it says, writes and serves; looking at it is for people."""

from __future__ import annotations

import http.client
import importlib.util
import json
import signal
import subprocess
import sys
from contextlib import closing, contextmanager

import onnx
import pytest

from tests.cli.conftest import MIXED, ROOT, run

RIGHT = ("--plugin", "tests.cli.planted", "--passes", "right")


@pytest.fixture
def result(model):
    assert run("optimize", model, "-o", "out.onnx", *RIGHT).exit_code == 0
    return "out.onnx"


def test_a_difference_as_json_opens_nothing(model, result):
    record = json.loads(run("view", result, "--diff", model, "--json").stdout)
    assert (record["model"], record["original"], record["schema"]) == ("out.onnx", "model.onnx", 1)
    assert record["counts"] == {"kept": 5, "changed": 0, "fused": 1, "added": 0, "replaced": 2, "removed": 0}
    (made,) = (node for node in record["nodes"] if node["state"] == "fused")
    assert (made["operator"], made["rule"], len(made["others"])) == ("Relu", "relu_twice", 2)


def test_a_difference_can_be_written(model, result):
    done = run("view", result, "--diff", model, "-o", "marked.onnx")
    assert (done.exit_code, "fused" in done.stdout) == (0, True)
    operators = [node.op_type for node in onnx.load("marked.onnx").graph.node]
    assert (operators.count("+ Relu"), operators.count("- Relu")) == (1, 2)


def test_output_and_json_are_about_differences(model):
    for option in (("--json",), ("-o", "x.onnx")):
        done = run("view", model, *option)
        assert (done.exit_code, "give --diff" in done.stderr) == (2, True)


def test_the_inputs_are_not_overwritten(model, result):
    for name in (model, result):
        done = run("view", result, "--diff", model, "-o", name)
        assert (done.exit_code, "is the input itself" in done.stderr) == (2, True)


def test_what_is_no_model_is_said(here):
    (here / "x.onnx").write_text("no model")
    done = run("view", "x.onnx", "--no-browser")
    assert (done.exit_code, "x.onnx" in done.stderr) == (2, True)


def test_without_netron_it_says_what_to_install(model, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("graphopt.extras.find_spec", lambda name: None if name == "netron" else found(name))
    done = run("view", model)
    assert (done.exit_code, "pip install 'graphopt[view]'" in done.stderr) == (2, True)
    assert run("view", model, "--diff", model, "--json").exit_code == 0


@contextmanager
def serving(*arguments):
    """A process that serves a graph, and where."""
    command = [sys.executable, "-u", "-m", "graphopt.cli", "view", *map(str, arguments), "--no-browser"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            yield server, next(line.split()[0] for line in server.stdout if line.startswith("http://"))
        finally:
            server.terminate()


def got(url, path):
    """What a server answers."""
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read()


@pytest.mark.parametrize("name", ["model.onnx", 'a"><script>.onnx'])
def test_it_serves_the_file(written, name):
    pytest.importorskip("netron")
    path = written(MIXED, name)
    with serving(path) as (_, url):
        page = got(url, "/").decode()
        assert "<script>.onnx" not in page
        served = page.split('<meta name="file" content="')[1].split('"')[0]
        assert got(url, served) == path.read_bytes()


def test_it_serves_the_difference_until_it_is_interrupted(model, result):
    pytest.importorskip("netron")
    with serving(result, "--diff", model) as (server, url):
        content = got(url, "/data/difference.onnx")
        assert "+ Relu" in [node.op_type for node in onnx.load_from_string(content).graph.node]
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0


def test_a_port_that_is_taken_is_said(model):
    pytest.importorskip("netron")
    with serving(model) as (_, url):
        done = run("view", model, "--no-browser", "--port", url.rpartition(":")[2])
        assert (done.exit_code, "--port" in done.stderr) == (2, True)
