from __future__ import annotations

import numpy as np

import graphopt
from tests.support import operators, proto

TEXT = "agraph (float[N, 3] x, float[3] w) => (float[N, 3] y) { a = Mul(x, w) b = Add(w, w) y = Add(a, b) }"
MODEL = proto(TEXT, {"w": np.array([1, 2, 3], np.float32)})


def test_the_default_pipeline_keeps_what_callers_may_override():
    result = graphopt.optimize(MODEL, passes="clean,fold")
    assert [tensor.name for tensor in result.model.graph.inputs] == ["x", "w"]
    assert operators(result.model) == {"Mul": 1, "Add": 2}


def test_freezing_makes_constants_which_can_be_folded():
    result = graphopt.optimize(MODEL, passes="freeze,fold", verify="full")
    assert [tensor.name for tensor in result.model.graph.inputs] == ["x"]
    assert operators(result.model) == {"Mul": 1, "Add": 1}
    assert result.report.whole.status == "verified"
    assert "w" in result.report.notes[0]


def test_an_input_that_is_also_an_output():
    text = "agraph (float[3] x, float[3] w) => (float[3] y, float[3] w) { y = Add(x, w) }"
    model = proto(text, {"w": np.ones(3, np.float32)})
    result = graphopt.optimize(model, passes="freeze", verify="full")
    message = result.model.to_proto()
    assert [value.name for value in message.graph.output] == ["y", "w"]
    assert result.report.whole.status == "verified" or result.report.whole.detail == "nothing was rewritten"


def test_nothing_to_freeze():
    model = proto("agraph (float[3] x) => (float[3] y) { y = Relu(x) }")
    assert not graphopt.optimize(model, passes="freeze").report.notes
