"""What only people read goes, and what runs stays as it is."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import graphopt
from graphopt.errors import UsageError
from graphopt.numerics.run import run
from tests.support import proto

NET = """
    <ir_version: 10, opset_import: ["" : 20]>
    agraph (float[n, 4] x, bool flag) => (float[n, 4] a_long_name_of_an_output)
        <float[n, 4] the_hidden_state> {
        [the_first_layer] the_hidden_state = MatMul(x, the_first_weight)
        a_long_name_of_an_output = If(flag) <
            then_branch = then () => (float[n, 4] then_out) { inner = Neg(the_hidden_state) then_out = Relu(inner) },
            else_branch = other () => (float[n, 4] else_out) { else_out = Tanh(the_hidden_state) }>
    }
"""


@pytest.fixture
def model():
    made = proto(NET, {"the_first_weight": (4, 4)})
    made.doc_string, made.graph.node[0].doc_string = "A net.", "traced at line 7"
    made.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value="line 7")
    made.metadata_props.add(key="license", value="MIT")
    return made


def stripped(model, passes="strip"):
    return graphopt.optimize(model, passes=passes).model.to_proto()


def names(graph):
    for node in graph.node:
        yield from (node.name, *node.input, *node.output)
        for attribute in node.attribute:
            yield from names(attribute.g)


def test_names_texts_and_shapes_inside_are_gone(model):
    made = stripped(model)
    kept = {"x", "flag", "a_long_name_of_an_output", "then_out", "else_out", ""}
    assert all(name in kept or len(name) < 4 for name in names(made.graph))
    assert not made.graph.value_info
    assert not any(node.doc_string or node.metadata_props for node in made.graph.node)
    onnx.checker.check_model(made, full_check=True)


def test_what_the_model_says_of_itself_stays(model):
    made = stripped(model)
    assert [(one.key, one.value) for one in made.metadata_props] == [("license", "MIT")]
    assert made.doc_string == "A net."
    assert list(made.graph.input) == list(model.graph.input)
    assert list(made.graph.output) == list(model.graph.output)


@pytest.mark.parametrize("flag", [True, False])
def test_it_computes_the_same(model, flag):
    feeds = {"x": np.ones((3, 4), np.float32), "flag": np.array(flag)}
    before, after = (run(one.SerializeToString(), feeds)[0] for one in (model, stripped(model)))
    assert np.array_equal(before, after)


def test_a_second_time_nothing_changes(model):
    once = stripped(model)
    assert stripped(once).SerializeToString(deterministic=True) == once.SerializeToString(deterministic=True)


def test_some_of_it_can_stay(model):
    made = stripped(model, "strip:keep=names+shapes")
    assert made.graph.node[0].name == "the_first_layer"
    assert [one.name for one in made.graph.value_info] == ["the_hidden_state"]
    assert not made.graph.node[0].doc_string
    with pytest.raises(UsageError, match="docs, metadata, names, shapes"):
        stripped(model, "strip:keep=everything")


def test_tensors_of_which_an_annotation_speaks_keep_their_names(model):
    annotation = model.graph.quantization_annotation.add(tensor_name="the_hidden_state")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="the_first_weight")
    made = stripped(model)
    assert list(made.graph.node[0].output) == ["the_hidden_state"]
    assert [one.name for one in made.graph.initializer] == ["the_first_weight"]
    assert list(made.graph.quantization_annotation) == [annotation]
