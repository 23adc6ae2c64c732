"""Benchmarks of small models: what is recorded, and what is refused before anything runs."""

from __future__ import annotations

import json
import math

import numpy as np
import onnx
import pytest

from graphopt.errors import ModelError, UsageError
from graphopt.ir.reader import load
from graphopt.measure import course, memory
from graphopt.measure.bench import bench, latency_ratio
from graphopt.measure.execution import Timings
from graphopt.report.encode import to_json
from tests.support import proto

RELU = "agraph (float[batch, 4] x) => (float[batch, 4] y) { y = Relu(x) }"
TANH = RELU.replace("Relu", "Tanh")
THING = '<ir_version: 10, opset_import: ["" : 21, "no" : 1]> ' + RELU.replace("Relu", "no.Thing")


@pytest.fixture
def quick(monkeypatch):
    """Everything happens in this process, and two rounds of two processes are enough."""
    monkeypatch.setattr(course, "isolated", lambda _, function, *arguments: function(*arguments))
    monkeypatch.setattr(memory, "restrict", lambda: None)
    monkeypatch.setattr(course, "FEWEST", 2)
    monkeypatch.setattr(course, "MOST", 2)
    monkeypatch.setattr(course, "PROCESS_S", 0.001)


@pytest.fixture
def timed(quick, monkeypatch):
    """As `quick`, but the times are made up: model i takes 1 + i milliseconds, and loads in as many seconds."""

    def together(paths, *_):
        places = range(1, len(paths) + 1)
        return Timings(tuple(map(float, places)), tuple(np.full((25, 4), place / 1000) for place in places))

    monkeypatch.setattr(course, "together", together)
    monkeypatch.setattr(course, "FEWEST", 8)


@pytest.fixture
def files(tmp_path):
    for name, text in (("relu", RELU), ("tanh", TANH), ("thing", THING)):
        onnx.save(proto(text), tmp_path / f"{name}.onnx")
    return tmp_path


def test_every_model_is_measured_in_every_setting(quick, files):
    found = bench([files / "relu.onnx", files / "tanh.onnx"], threads=[1, 2], batches=[1, 3])
    rows = [(one.batch, one.threads, one.model.rpartition("/")[2]) for one in found.results]
    assert rows == [(b, t, m) for b in (1, 3) for t in (1, 2) for m in ("relu.onnx", "tanh.onnx")]
    assert [setting.inputs for setting in found.settings[::2]] == [{"x": "float[1, 4]"}, {"x": "float[3, 4]"}]
    assert all(one.latency.p50 > 0 and one.load_seconds > 0 and one.memory >= 0 for one in found.results)


def test_figures_follow_from_the_times(timed):
    first, second = bench([proto(RELU), proto(TANH)], batches=[5]).results
    assert (first.latency.p50, second.latency.p50) == pytest.approx((0.001, 0.002))
    assert (first.throughput, second.throughput) == pytest.approx((5000, 2500))
    assert (first.load_seconds, second.load_seconds) == (1, 2)
    assert first.latency.runs == 8 * 25 * 4
    assert first.ratio is None
    assert (second.ratio.value, second.ratio.low, second.ratio.high) == pytest.approx((2, 2, 2))


def test_a_ratio_of_latencies_alone(timed):
    assert latency_ratio(proto(RELU), proto(TANH)).value == pytest.approx(2)


def test_a_provider_is_named_as_people_do(quick):
    assert bench(proto(RELU), provider="CPUExecutionProvider").provider == "cpu"


def test_models_need_no_file(quick):
    message = proto(RELU)
    found = bench([message, message.SerializeToString(), load(message)])
    assert found.models == ("model 1", "model 2", "model 3")
    assert found.results[0].file_bytes == message.ByteSize()


def test_external_data_counts_as_size(quick, tmp_path):
    text = "agraph (float[n, 4] x) => (float[n, 4] y) { y = Add(x, w) }"
    message = proto(text, {"w": np.zeros((1, 4), np.float32)})
    onnx.save(message, tmp_path / "a.onnx", save_as_external_data=True, location="a.data", size_threshold=0)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert bench(tmp_path / "a.onnx").results[0].file_bytes == size


def test_a_profile_tells_the_operators_and_leaves_nothing_behind(quick, files, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    found = bench(files / "tanh.onnx", profile=True)
    assert [one.operator for one in found.results[0].operators] == ["Tanh"]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_given_inputs_are_fed(quick, files):
    found = bench(files / "relu.onnx", feeds={"x": np.zeros((7, 4), np.float32)})
    assert (found.feeds, found.settings[0].batch) == ("given", 7)


def test_data_is_fed_a_batch_at_a_time(quick, files, tmp_path):
    np.savez(tmp_path / "data.npz", x=np.zeros((9, 4), np.float32), label=np.zeros(9, np.int64))
    found = bench(files / "relu.onnx", data=tmp_path / "data.npz", batches=[None, 4])
    assert [setting.batch for setting in found.settings] == [1, 4]
    assert found.feeds == str(tmp_path / "data.npz")


def test_the_json_is_the_record(timed, files):
    found = json.loads(to_json(bench([files / "relu.onnx", files / "tanh.onnx"])))
    assert found["settings"][0]["models"][1]["ratio"]["confidence"] == 0.99
    assert found["environment"]["versions"]["onnxruntime"]


def test_sizes_at_which_a_model_does_not_run_are_left_for_others(quick):
    """The Reshape takes multiples of 16, which no shape tells."""
    text = """agraph (float[m] x, int64[2] s) => (float[a, b] y) <int64[2] s = {16, -1}> { y = Reshape(x, s) }"""
    (setting,) = bench(proto(text)).settings
    assert (setting.sizes, setting.assumed) == ({"m": 16}, ("m",))


def test_a_model_that_runs_in_no_way_is_named_with_the_reason(quick):
    text = """agraph (float[m, 2] x, int64[1] s) => (float[a] y) <int64[1] s = {7}> { y = Reshape(x, s) }"""
    with pytest.raises(ModelError, match=r"model 1 cannot be run: Reshape .* cannot be reshaped.*--feeds"):
        bench(proto(text))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"provider": "abacus"}, "there is no provider 'abacus'"),
        ({"threads": [0]}, "the number of threads must be"),
        ({"threads": []}, "no number of threads"),
        ({"batches": []}, "no batch to measure"),
        ({"batches": [0]}, "a batch must have 1 to"),
        ({"batches": [10**9]}, "a batch must have 1 to"),
        ({"seconds": 0}, "must be a number of seconds above 0"),
        ({"seconds": math.nan}, "must be a number of seconds above 0"),
        ({"precision": 1}, "must lie between 0 and 1"),
        ({"sizes": {"width": 1}}, "no free dimension 'width'"),
        ({"feeds": {"y": np.zeros(3)}}, "feeds has no array 'x'; it has 'y'"),
        ({"feeds": {"x": np.zeros((1, 4), np.float32)}, "sizes": {"batch": 1}}, "are for inputs that are drawn"),
        ({"feeds": {}, "data": "data.npz"}, "either feeds or data"),
        ({"data": "none.npz"}, "none.npz: there is no such file"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(options, message, monkeypatch):
    monkeypatch.setattr(course, "isolated", None)
    with pytest.raises(UsageError, match=message):
        bench(proto(RELU), **options)


def test_without_a_model_there_is_nothing_to_measure():
    with pytest.raises(UsageError, match="no model"):
        bench([])


def test_models_with_other_inputs_are_refused_before_anything_runs(monkeypatch):
    monkeypatch.setattr(course, "isolated", None)
    with pytest.raises(UsageError, match=r"does not take the inputs of .* has no array 'z'; it has 'x'"):
        bench([proto(RELU), proto(RELU.replace("x", "z"))])


def test_a_model_that_does_not_load_is_named(quick, files):
    with pytest.raises(ModelError, match=r"thing\.onnx does not load: .*Thing"):
        bench([files / "relu.onnx", files / "thing.onnx"])


def test_in_processes_of_their_own(files, monkeypatch):
    """As users run it, but for the number of processes."""
    monkeypatch.setattr(course, "FEWEST", 1)
    monkeypatch.setattr(course, "MOST", 1)
    monkeypatch.setattr(course, "PROCESS_S", 0.01)
    said = []
    found = bench([files / "relu.onnx", files / "tanh.onnx"], threads=[1], progress=said.append)
    assert found.settings[0].processes == 1
    assert said[-1] == "timing, process 1"
