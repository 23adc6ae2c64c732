"""The pass: from a pipeline's text to trained weights in the model."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import graphopt
from graphopt.errors import UsageError
from graphopt.numerics.run import InProcess
from tests.passes.distill.support import Drawn, drawn, message

WITH_TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not WITH_TORCH, reason="distill needs torch")
OPTIONS = "epochs=8:batch=16:rate=0.02:precision=float32"


@pytest.fixture
def teacher(tmp_path):
    path = tmp_path / "teacher.onnx"
    onnx.save(message(8, seed=2), path)
    return path


def optimize(passes: str, source=None, **options):
    given = {"calibration": drawn(), "runner": InProcess()} | options
    return graphopt.optimize(source or message(), passes=passes, **given)


def weights(model) -> dict[str, np.ndarray]:
    proto = model if isinstance(model, onnx.ModelProto) else model.to_proto()
    return {held.name: numpy_helper.to_array(held) for held in proto.graph.initializer}


def calls(proto: onnx.ModelProto) -> list[tuple]:
    return [(node.op_type, list(node.input), list(node.output)) for node in proto.graph.node]


@needs_torch
def test_a_student_learns_from_a_teacher_and_keeps_its_graph(teacher):
    result = optimize(f"distill:{OPTIONS}:teacher={teacher}")
    (entry,) = result.report.rewrites
    assert (entry.rule, entry.contract, entry.verdict.status) == ("distilled_weights", "judged", "verified")
    before, after = weights(message()), weights(result.model)
    assert {name: array.shape for name, array in before.items()} == {name: array.shape for name, array in after.items()}
    assert not any(np.array_equal(before[name], after[name]) for name in before)
    assert calls(result.model.to_proto()) == calls(message())
    (table,) = result.report.tables
    losses = [row[1] for row in table.rows]
    assert len(losses) == 8
    assert losses[-1] < 0.7 * losses[0]


@needs_torch
def test_a_compile_is_the_same_each_time(teacher):
    first, again = (optimize(f"distill:{OPTIONS}:augment=crop:teacher={teacher}").model.to_proto() for _ in range(2))
    assert first == again


@needs_torch
def test_with_a_metric_the_weights_stay_if_training_makes_them_no_better():
    data = drawn(labels=True)
    result = optimize(f"distill:{OPTIONS}:epochs=1".replace("epochs=8:", ""), data=data, metric="agreement")
    assert not result.report.rewrites
    assert any("nothing better" in note for note in result.report.notes)


@needs_torch
def test_training_on_what_is_judged_is_told(teacher):
    given = {"data": drawn(labels=True), "metric": "agreement"}
    told = [
        any(
            "judged on" in note
            for note in optimize(f"distill:epochs=1:teacher={teacher}", **given, **more).report.notes
        )
        for more in ({"calibration": None}, {})
    ]
    assert told == [True, False]


@needs_torch
def test_what_is_left_out_is_not_changed(teacher):
    result = optimize(f"distill:{OPTIONS}:teacher={teacher}", limit=0)
    assert not result.report.rewrites
    assert all(np.array_equal(array, weights(message())[name]) for name, array in weights(result.model).items())


@needs_torch
def test_what_was_trained_in_an_interrupted_run_is_not_trained_again(teacher, tmp_path):
    folder = tmp_path / "checkpoints"
    said = []

    class Heard:
        def pass_begins(self, context, step):
            pass

        def pass_ends(self, context, record):
            pass

        def message(self, text):
            said.append(text)

    passes = f"distill:{OPTIONS}:teacher={teacher}:checkpoint={folder}"
    first = optimize(passes, observers=[Heard()])
    again = optimize(passes, observers=[Heard()])
    assert first.model.to_proto() == again.model.to_proto()
    assert sum("epoch 8 of 8" in text for text in said) == 1 + 1
    assert "distill: going on after epoch 8 of 8" in said


@needs_torch
def test_a_quantised_network_stays_quantised():
    result = optimize("quant", source=message(16))
    quantised = result.model.to_proto()
    trained = optimize(f"distill:{OPTIONS}:rate=0.005".replace("rate=0.02:", ""), source=quantised).model.to_proto()
    assert calls(trained) == calls(quantised)
    before, after = weights(quantised), weights(trained)
    integers = [name for name, array in before.items() if array.dtype == np.int8 and array.ndim > 1]
    assert integers
    assert any(not np.array_equal(before[name], after[name]) for name in integers)
    assert all(before[name].dtype == after[name].dtype for name in before)
    scales = {node.input[1] for node in quantised.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")}
    assert all(np.array_equal(before[name], after[name]) for name in scales), "steps of grids do not move"


@needs_torch
@pytest.mark.parametrize(
    ("passes", "options", "message"),
    [
        ("distill", {"calibration": None}, "--calibration"),
        ("distill:labels=1", {}, "has none"),
        ("distill:labels=1", {"calibration": None, "data": drawn(labels=True), "metric": "agreement"}, "no test of it"),
        ("distill:labels=1:augment=mixup", {"calibration": drawn(labels=True)}, "no label"),
        ("distill:augment=flip+turn", {}, "expected one of flip, crop, mixup"),
        ("distill:epochs=0", {}, "at least 1"),
        ("distill:epochs=x", {}, "a whole number, found x"),
        ("distill:temperature=0", {}, "above 0"),
        ("distill:rate=nan", {}, "above 0"),
        ("distill:loss=kld", {}, "auto, kl, mse"),
        ("distill:epoch=3", {}, "no option 'epoch'"),
        ("distill:teacher=nowhere.onnx", {}, "nowhere.onnx"),
    ],
)
def test_what_does_not_fit_is_said(passes, options, message):
    with pytest.raises(graphopt.GraphoptError, match=message):
        optimize(passes, **options)


@needs_torch
def test_a_teacher_must_give_what_the_student_gives(tmp_path):
    other = message(8)
    other.graph.output[0].name = other.graph.node[-1].output[0] = "z"
    onnx.save(other, tmp_path / "other.onnx")
    with pytest.raises(UsageError, match="does not give y"):
        optimize(f"distill:teacher={tmp_path / 'other.onnx'}")


@needs_torch
def test_weights_that_are_inputs_have_to_be_frozen():
    model = message()
    model.graph.input.extend(
        onnx.helper.make_tensor_value_info(held.name, held.data_type, list(held.dims))
        for held in model.graph.initializer
    )
    with pytest.raises(UsageError, match="freeze"):
        optimize("distill", source=model)


@needs_torch
def test_a_network_that_cannot_be_run_is_named():
    text = """<ir_version: 8, opset_import: ["" : 17, "com.acme" : 1]>
    g (float[N, 1, 6, 6] x) => (float[N, 1, 6, 6] y) { h = com.acme.Magic (x)\n y = Relu (h) }"""
    with pytest.raises(UsageError, match=r"com\.acme::Magic"):
        optimize("distill", source=onnx.parser.parse_model(text), verify="off")


def test_without_torch_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    real = importlib.util.find_spec
    monkeypatch.setattr("graphopt.extras.find_spec", lambda name: None if name == "torch" else real(name))
    with pytest.raises(UsageError, match=r"pip install 'graphopt\[torch\]'"):
        optimize("distill")


def test_listing_passes_imports_no_torch():
    import subprocess

    code = "import sys, passes; from passes.distill import DISTILL; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_data_support_is_data():
    from graphopt.data.source import Data

    assert isinstance(Drawn(np.zeros((1, 1))), Data)
