"""A graphopt graph is a graphsurgeon graph: what people script against graphsurgeon works on it and is saved."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnxruntime as ort
import pytest

import graphopt
from tests.support import proto

TEXT = "agraph (float[N, 4] x) => (float[N, 4] y) { a = Relu(x) b = Sigmoid(a) y = Add(b, w) }"


@pytest.fixture
def model():
    return graphopt.load(proto(TEXT, {"w": np.ones(4, np.float32)}))


def run(message, x):
    onnx.checker.check_model(message)
    session = ort.InferenceSession(message.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


X = np.array([[-1.0, 0.0, 1.0, 2.0]], np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_changing_an_operator(model):
    next(node for node in model.graph.nodes if node.op == "Relu").op = "Abs"
    np.testing.assert_allclose(run(model.to_proto(), X), sigmoid(np.abs(X)) + 1, rtol=1e-6)


def test_bypassing_a_node_and_cleaning_up(model):
    relu = next(node for node in model.graph.nodes if node.op == "Relu")
    sigmoid_node = relu.o()
    sigmoid_node.inputs = [relu.inputs[0]]
    model.graph.cleanup().toposort()
    assert [node.op for node in model.graph.nodes] == ["Sigmoid", "Add"]
    np.testing.assert_allclose(run(model.to_proto(), X), sigmoid(X) + 1, rtol=1e-6)


def test_adding_graphsurgeon_nodes_and_tensors(model):
    graph = model.graph
    last = graph.outputs[0].inputs[0]
    summed = gs.Variable("summed", np.float32, ["N", 4])
    last.outputs = [summed]
    two = gs.Constant("two", np.array([2.0], np.float32))
    graph.nodes.append(gs.Node("Mul", "double", inputs=[summed, two], outputs=[graph.outputs[0]]))
    np.testing.assert_allclose(run(model.to_proto(), X), (sigmoid(np.maximum(X, 0)) + 1) * 2, rtol=1e-6)
    assert graphopt.optimize(model, passes="clean").report.whole.status == "verified"


def test_layer(model):
    graph = model.graph
    (out,) = graph.layer(op="Neg", inputs=[graph.outputs[0]], outputs=["negative"])
    out.dtype, out.shape = np.float32, ["N", 4]
    graph.outputs = [out]
    np.testing.assert_allclose(run(model.to_proto(), X), -(sigmoid(np.maximum(X, 0)) + 1), rtol=1e-6)


def test_turning_a_tensor_into_a_constant(model):
    a = model.graph.nodes[0].outputs[0]
    a.inputs.clear()
    a.to_constant(np.zeros((1, 4), np.float32))
    model.graph.cleanup()
    np.testing.assert_allclose(run(model.to_proto(), X), np.full((1, 4), 1.5), rtol=1e-6)


def test_exporting_with_graphsurgeon_itself(model):
    np.testing.assert_allclose(run(gs.export_onnx(model.graph), X), sigmoid(np.maximum(X, 0)) + 1, rtol=1e-6)
