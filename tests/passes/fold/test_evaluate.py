import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import graphopt
from graphopt.ir import walk
from graphopt.ir.types import Constant
from graphopt.numerics.run import InProcess, run
from passes.fold import FOLD
from tests.support import apply, fires, operators, proto, refuses


def constants(model):
    """The values of all initializers and Constant nodes, by tensor name."""
    message = model.to_proto()
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in message.graph.initializer}
    for node in message.graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def test_what_follows_from_constants_is_computed():
    model = fires(
        FOLD,
        "g (float[4] x) => (float[4] y) { a = Exp(w) b = Mul(a, w) c = Neg(b) y = Add(x, c) }",
        {"w": (4,)},
        leaves=["Add"],
    )
    assert list(constants(model)) == ["c"]


def test_a_constant_that_is_returned_stays_a_constant_node_under_its_name():
    model = fires(FOLD, "g (float[4] x) => (float[4] y, float[4] z) { z = Exp(w) y = Add(x, z) }", {"w": (4,)},
                  leaves=["Add", "Constant"])  # fmt: skip
    assert [output.name for output in model.graph.outputs] == ["y", "z"]
    assert list(constants(model)) == ["z"]
    again = graphopt.optimize(model, passes=[FOLD])
    assert not again.report.rewrites
    assert again.model.to_proto() == model.to_proto()


def test_several_outputs_of_one_node():
    model = fires(
        FOLD,
        "g (float[2] x) => (float[2] y, float[2] z) { a, b = Split<num_outputs=2>(w) y = Add(x, a) z = Mul(x, b) }",
        {"w": (4,)},
        leaves=["Add", "Mul"],
    )
    assert list(constants(model)) == ["a", "b"]


def test_a_result_that_other_constant_nodes_read_too():
    fires(FOLD, "g (float[4] x) => (float[4] y, float[4] z) { a = Exp(w) b = Neg(a) y = Add(x, a) z = Add(x, b) }",
          {"w": (4,)}, leaves=["Add", "Add"])  # fmt: skip


def test_bodies_of_control_flow():
    model = fires(
        FOLD,
        """g (bool c, float[4] x) => (float[4] y) {
            y = If (c) <then_branch = t () => (float[4] p) { a = Exp(w) p = Add(x, a) },
                        else_branch = e () => (float[4] q) { a = Neg(w) q = Add(x, a) }>
        }""",
        {"w": (4,)},
        leaves=["If"],
    )
    assert sorted(node.op for node in walk.nodes(model.graph)) == ["Add", "Add", "If"]
    assert len(constants(model)) == 2


def test_constants_returned_by_a_branch():
    model = fires(
        FOLD,
        """g (bool c, float[4] x) => (float[4] y) {
            y = If (c) <then_branch = t () => (float[4] p) { p = Exp(w) },
                        else_branch = e () => (float[4] q) { q = Abs(x) }>
        }""",
        {"w": (4,)},
        leaves=["If"],
    )
    assert sorted(node.op for node in walk.nodes(model.graph)) == ["Abs", "Constant", "If"]


class Counting(InProcess):
    """Runs in this process, and counts how often."""

    def __init__(self):
        self.runs = 0

    def run(self, *arguments, **options):
        self.runs += 1
        return run(*arguments, **options)


def test_a_thousand_nodes_are_one_run():
    count = 1000
    nodes = " ".join(f"a{i} = Exp(w{i}) b{i} = Add(x, a{i})" for i in range(count))
    outputs = ", ".join(f"float[2] b{i}" for i in range(count))
    weights = {f"w{i}": np.full(2, i / count, np.float32) for i in range(count)}
    runner = Counting()
    result = graphopt.optimize(
        proto(f"g (float[2] x) => ({outputs}) {{ {nodes} }}", weights), passes=[FOLD], verify="off", runner=runner
    )
    assert runner.runs == 1
    assert len(result.report.rewrites) == count
    assert operators(result.model) == {"Add": count}


# ---- what must not be evaluated ----


@pytest.mark.parametrize(
    "draw",
    [
        "RandomNormal<shape=[4]>()", "RandomUniform<shape=[4]>()", "RandomNormalLike(w)", "RandomUniformLike(w)",
        "Bernoulli(w)", "Dropout(w, half, yes)",
    ],
)  # fmt: skip
def test_random_operators_stay(draw):
    text = f"g (float[4] x) => (float[4] y) {{ r = {draw} y = Add(x, r) }}"
    weights = {"w": np.full(4, 0.5, np.float32), "half": np.float32(0.5), "yes": np.bool_(True)}
    result = apply(FOLD, text, weights)
    assert not result.report.rewrites
    assert len(result.model.graph.nodes) == 2


def test_what_follows_from_a_random_operator_stays():
    refuses(FOLD, "g (float[4] x) => (float[4] y) { r = RandomNormal<shape=[4]>() s = Exp(r) y = Add(x, s) }",
            reason="random numbers")  # fmt: skip


def test_overridable_initializers_are_inputs():
    model = proto("g (float[4] x, float[4] w) => (float[4] y) { a = Exp(w) y = Add(x, a) }", {"w": (4,)})
    result = graphopt.optimize(model, passes=[FOLD])
    assert not result.report.rewrites
    assert [i.name for i in result.model.to_proto().graph.input] == ["x", "w"]
    assert [i.name for i in result.model.to_proto().graph.initializer] == ["w"]


def test_weights_that_are_stored_quantised_stay_so():
    refuses(
        FOLD,
        "g (float[4] x) => (float[4] y) { d = DequantizeLinear(w, s, z) y = Add(x, d) }",
        {"w": np.arange(4, dtype=np.int8), "s": np.float32(0.1), "z": np.int8(0)},
        reason="fuses",
    )


def test_weights_that_are_stored_unquantised_are_quantised():
    model = fires(
        FOLD,
        "g (float[4] x) => (float[4] y) { q = QuantizeLinear(w, s, z) d = DequantizeLinear(q, s, z) y = Add(x, d) }",
        {"w": np.arange(4, dtype=np.float32), "s": np.float32(0.1), "z": np.int8(0)},
        leaves=["DequantizeLinear", "Add"],
    )
    assert constants(model)["q"].dtype == np.int8


def test_operators_of_unknown_domains_stay():
    model = proto(
        '<ir_version: 10, opset_import: ["" : 21, "acme" : 1]> g (float[4] x) => (float[4] y) '
        "{ a = acme.Magic(w) y = Add(x, a) }",
        {"w": (4,)},
    )
    result = graphopt.optimize(model, passes=[FOLD])
    assert operators(result.model) == {"Magic": 1, "Add": 1}
    assert any("acme.Magic" in refusal.reason for refusal in result.report.refusals)


def test_models_of_trees_alone():
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[1.0], scale=[2.0])],
            "g", [helper.make_tensor_value_info("x", 1, [1, 3])], [helper.make_tensor_value_info("y", 1, [1, 3])],
        ),
        opset_imports=[helper.make_opsetid("ai.onnx.ml", 1)], ir_version=6,
    )  # fmt: skip
    result = graphopt.optimize(model, passes=[FOLD])
    assert result.model.to_proto() == graphopt.load(model).to_proto()


def test_constants_through_traditional_operators_are_computed():
    text = (
        '<ir_version: 10, opset_import: ["" : 21, "ai.onnx.ml" : 3]> g (float[1, 3] x) => (float[1, 3] y) '
        "{ a = ai.onnx.ml.Binarizer<threshold=0.5>(w) y = Add(x, a) }"
    )
    model = fires(FOLD, text, {"w": np.ones((1, 3), np.float32)}, leaves=["Add"])
    np.testing.assert_array_equal(constants(model)["a"], np.ones((1, 3), np.float32))


# ---- what the runtime cannot do ----


def test_nodes_without_a_kernel_are_named_and_the_rest_is_evaluated():
    text = """g (float[4] x) => (float[4] y, float[4] z) {
        a = Mul(half, half) b = Cast<to=1>(a) y = Add(x, b) c = Exp(w) z = Add(x, c)
    }"""
    weights = {"half": np.ones(4, ml_dtypes.float8_e4m3fn), "w": (4,)}
    model = proto(text)
    for name, value in weights.items():
        array = np.ones(4, np.float32) if isinstance(value, tuple) else value
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    result = graphopt.optimize(model, passes=[FOLD], verify="off")
    assert operators(result.model) == {"Mul": 1, "Cast": 1, "Add": 2}
    reasons = {refusal.root: refusal.reason for refusal in result.report.refusals if refusal.rule == "constant"}
    assert "cannot evaluate" in reasons["Mul a"]


def test_nodes_that_fail_are_named_and_the_rest_is_evaluated():
    text = "g (float[1] x) => (float[1] y, float[1] z) { a = Gather(w, far) y = Add(x, a) c = Exp(v) z = Add(x, c) }"
    result = graphopt.optimize(
        proto(text, {"w": (4,), "v": (1,), "far": np.array([9])}), passes=[FOLD], verify="structure"
    )
    assert operators(result.model) == {"Gather": 1, "Add": 2}
    assert any("cannot evaluate" in refusal.reason for refusal in result.report.refusals)


# ---- every type ----

STORED = [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4, ml_dtypes.uint4, np.float16, np.uint8, np.bool_]


@pytest.mark.parametrize("dtype", STORED, ids=lambda dtype: np.dtype(dtype).name)
def test_constants_of_every_type_keep_type_and_values(dtype):
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["w", "to"], ["a"]), helper.make_node("Identity", ["a"], ["y"]),
         helper.make_node("Abs", ["x"], ["z"])],
        "g", [helper.make_tensor_value_info("x", 1, [1])],
        [helper.make_tensor_value_info("y", kind, [3, 2]), helper.make_tensor_value_info("z", 1, [1])],
        [numpy_helper.from_array(values, "w"), numpy_helper.from_array(np.array([3, 2]), "to")],
    )  # fmt: skip
    result = graphopt.optimize(helper.make_model(graph, ir_version=10), passes=[FOLD], verify="structure")
    if operators(result.model) == {"Constant": 1, "Abs": 1}:
        held = next(v for n in result.model.graph.nodes for v in n.attrs.values() if isinstance(v, Constant))
        assert held.dtype == np.dtype(dtype)
        assert held.values.tobytes() == values.reshape(3, 2).tobytes()
    else:
        assert any("cannot evaluate" in refusal.reason for refusal in result.report.refusals)


def test_strings():
    text = """g (string[2] x) => (bool[2] y) { a = Concat<axis=0>(s, t) i = Constant<value_ints=[0, 2]>()
        b = Gather(a, i) y = Equal(x, b) }"""
    model = proto(text)
    for name in "st":
        model.graph.initializer.append(helper.make_tensor(name, TensorProto.STRING, [2], [name * 2, name]))
    result = graphopt.optimize(model, passes=[FOLD], verify="structure")
    assert operators(result.model) == {"Equal": 1}
    assert constants(result.model)["b"].tolist() in (["ss", "tt"], [b"ss", b"tt"])


def test_value_string_and_value_float_keep_their_types():
    text = """g (string[1] x, float[1] v) => (bool[1] y, float[1] z) {
        a = Constant<value_strings=["q"]>() y = Equal(x, a) b = Constant<value_float=0.5>() z = Mul(v, b)
    }"""
    model = fires(FOLD, text, leaves=["Equal", "Mul"])
    assert {name: array.dtype.kind for name, array in constants(model).items()} == {"a": "O", "b": "f"}
    assert constants(model)["b"].dtype == np.float32


def test_truncation_between_constant_nodes_happens():
    text = "g (int64[1] x) => (int64[1] y) { f = Cast<to=1>(n) h = Mul(f, half) i = Cast<to=7>(h) y = Add(x, i) }"
    model = fires(FOLD, text, {"n": np.array([7]), "half": np.float32(0.5)}, leaves=["Add"])
    assert constants(model)["i"].tolist() == [3]


def test_transforms_of_constants_are_those_of_the_runtime():
    text = "g (float[1, 4, 2] x) => (float[1, 4, 2] y) { d = DFT(w, , axis) y = Add(x, d) }"
    weights = {"w": np.arange(4, dtype=np.float32).reshape(1, 4, 1), "axis": np.int64(1)}
    model = fires(FOLD, text, weights, leaves=["Add"])
    expected = np.fft.fft(np.arange(4)).view(np.float64).reshape(1, 4, 2)
    np.testing.assert_allclose(constants(model)["d"], expected, atol=1e-5)


def test_half_precision_may_be_rounded_once_more():
    text = "g (float16[4] x) => (float16[4] y) { s = Sqrt(w) y = Mul(x, s) }"
    result = apply(FOLD, text, {"w": np.array([2, 3, 5, 7], np.float16)})
    assert operators(result.model) == {"Mul": 1}
    assert [entry.contract for entry in result.report.rewrites] == ["close(4)"]
    assert not result.report.rolled_back


def test_sequences_are_evaluated_only_on_the_way_to_tensors():
    through = "g (float[2] x) => (float[2] y) { s = SequenceConstruct(w, v) a = SequenceAt(s, one) y = Add(x, a) }"
    weights = {"w": (2,), "v": (2,), "one": np.int64(1)}
    fires(FOLD, through, weights, leaves=["Add"])
    left = """g (int64 i, float[2] x) => (float[2] y) {
        s = SequenceConstruct(w, v) a = SequenceAt(s, i) y = Add(x, a)
    }"""
    refuses(FOLD, left, weights, reason="a sequence")


@pytest.mark.parametrize("version", [7, 11, 13, 17, 21])
def test_every_opset(version):
    header = f'<ir_version: 8, opset_import: ["" : {version}]> '
    fires(FOLD, header + "g (float[4] x) => (float[4] y) { a = Exp(w) y = Add(x, a) }", {"w": (4,)}, leaves=["Add"])


def test_the_result_is_a_valid_model_that_runs():
    text = "g (float[N, 4] x) => (float[N, 4] y) { a = Transpose(w) b = Add(a, a) y = MatMul(x, b) }"
    model = fires(FOLD, text, {"w": (4, 4)}, leaves=["MatMul"])
    onnx.checker.check_model(model.to_proto(), full_check=True)
