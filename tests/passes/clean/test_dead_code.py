import numpy as np
import onnx
from onnx import parser

import graphopt
from tests.support import apply, fires, operators, proto, refuses

STEP = "clean:only=dead_code"


def test_nodes_that_nothing_uses():
    text = "m (float[N] x) => (float[N] y) { a = Abs(x)  b = Neg(a)  c = Exp(b)  y = Relu(x) }"
    assert operators(apply(STEP, text).model) == {"Relu": 1}


def test_a_long_dead_chain():
    body = "  ".join(f"t{at + 1} = Neg(t{at})" for at in range(5000))
    text = f"m (float[N] t0) => (float[N] y) {{ {body}  y = Relu(t0) }}"
    assert operators(apply(STEP, text).model) == {"Relu": 1}


def test_a_node_with_one_used_output_stays():
    text = "m (float[4] x) => (float[2] y) { y, z = Split<num_outputs=2>(x) }"
    assert operators(apply(STEP, text).model) == {"Split": 1}


def test_in_nested_graphs_and_what_they_capture():
    text = """m (bool b, float[N] x) => (float[N] y) {
        outer = Exp(x)
        y = If(b) <then_branch = t () => (float[N] p) { dead = Neg(outer)  p = Abs(x) },
                   else_branch = e () => (float[N] q) { q = Neg(x) }>
    }"""
    model = apply(STEP, text).model
    assert operators(model) == {"If": 1}
    assert [len(branch.nodes) for branch in model.graph.nodes[0].attrs.values()] == [1, 1]


def test_initializers_that_nothing_uses():
    model = apply(STEP, "m (float[2] x) => (float[2] y) { y = Add(x, a) }", {"a": (2,), "b": (3,)}).model
    assert [held.name for held in model.graph.initializers] == ["a"]


def test_initializers_that_are_returned_or_overridable_stay():
    message = proto("m (float[2] x, float[2] o = {1, 2}) => (float[2] y, float[3] b) { y = Neg(x) }", {"b": (3,)})
    model = graphopt.optimize(message, passes=STEP).model.to_proto()
    assert sorted(held.name for held in model.graph.initializer) == ["b", "o"]
    assert [given.name for given in model.graph.input] == ["x", "o"]


def test_quantisation_parameters_stay():
    message = proto("m (float[2] x) => (float[2] y) { y = Neg(x) }", {"scale": np.float32(1), "other": np.float32(1)})
    annotation = message.graph.quantization_annotation.add(tensor_name="y")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="scale")
    model = graphopt.optimize(message, passes=STEP).model
    assert [held.name for held in model.graph.initializers] == ["scale"]


FUNCTIONS = """<ir_version: 10, opset_import: ["" : 21, "f" : 1, "g" : 1, "unused" : 3]>
m (float[N] x) => (float[N] y) { y = f.outer(x) }
<domain: "f", opset_import: ["" : 21, "f" : 1]> outer (a) => (b) { b = f.inner(a) }
<domain: "f", opset_import: ["" : 21]> inner (a) => (b) { b = Neg(a) }
<domain: "g", opset_import: ["" : 21]> lonely (a) => (b) { b = Abs(a) }"""


def test_functions_and_domains_that_nothing_uses():
    result = graphopt.optimize(parser.parse_model(FUNCTIONS), passes=STEP).model.to_proto()
    assert [function.name for function in result.functions] == ["outer", "inner"]
    assert {imported.domain: imported.version for imported in result.opset_import} == {"": 21, "f": 1}
    onnx.checker.check_model(result)


def test_outputs_that_nobody_reads():
    text = "m (float[N, 3, 8, 8] x) => (float[N, 3, 4, 4] y) { y, i = MaxPool<kernel_shape=[2, 2], strides=[2, 2]>(x) }"
    model = fires("clean:only=unused_outputs", text, leaves=["MaxPool"])
    assert len(model.graph.nodes[0].outputs) == 1


def test_an_output_in_the_middle_is_left_empty():
    text = "m (float[S, 1, 4] x) => (float[1, 1, 3] z) { y, h, z = LSTM<hidden_size=3>(x, w, r) }"
    model = fires("clean:only=unused_outputs", text, {"w": (1, 12, 4), "r": (1, 12, 3)}, leaves=["LSTM"])
    assert [tensor.name for tensor in model.graph.nodes[0].outputs] == ["", "", "z"]


def test_outputs_that_are_not_optional_stay():
    refuses("clean:only=unused_outputs", "m (float[4] x) => (float[2] y) { y, z = Split<num_outputs=2>(x) }")
