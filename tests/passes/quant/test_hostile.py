"""Networks and data of all kinds are quantised or left alone with a reason, and never broken."""

import numpy as np
import onnx
import pytest

from graphopt.errors import GraphoptError
from tests.passes.quant.nets import executed, quantised, run, samples, saved, sqnr
from tests.support import operators, proto

IMAGE = (4, 8, 10, 10)


def net(body, opset=17, x="float[N, 8, 10, 10]", y="float[] y", more=""):
    ir = 4 if opset < 10 else 8
    text = f'<ir_version: {ir}, opset_import: ["" : {opset}]>\nnet ({x} x{more}) => ({y}) {{ {body} }}'
    return text.replace("float[] y", "float y")


def check(text, weights, folder, shape=IMAGE, least=25.0, scheme="quant:scheme=static", x=None, **options):
    """The quantised model loads, and gives about the same; what the runtime executes."""
    model = proto(text, weights)
    x = samples(shape) if x is None else x
    result = quantised(model, saved(folder, x=x), scheme, **options)
    onnx.checker.check_model(result.model.to_proto())
    assert sqnr(run(model, x=x)[0], run(result.model, x=x)[0]) > least
    return executed(result.model), result


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 21])
@pytest.mark.parametrize("form", ["qdq", "qoperator"])
def test_every_opset(opset, form, tmp_path):
    body = "a = Conv (x, w, b)\n r = Relu (a)\n y = Conv (r, v)"
    weights = {"w": (8, 8, 3, 3), "b": (8,), "v": (4, 8, 1, 1)}
    found, result = check(net(body, opset), weights, tmp_path, scheme=f"quant:scheme=static:format={form}")
    assert found["QLinearConv"] == 2
    assert result.model.graph.opset == max(opset, 13)


@pytest.mark.parametrize("rank", [3, 4, 5])
def test_every_rank(rank, tmp_path):
    space = ", ".join(["10"] * (rank - 2))
    body = "a = Conv (x, w)\n y = GlobalAveragePool (a)"
    shape = (4, 8, *[10] * (rank - 2))
    found, _ = check(net(body, x=f"float[N, 8, {space}]"), {"w": (8, 8, *[3] * (rank - 2))}, tmp_path, shape)
    assert found["QLinearConv"] == 1


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ("group = 2", (8, 4, 3, 3)),
        ("group = 8", (8, 1, 3, 3)),
        ("group = 8", (16, 1, 3, 3)),
        ("dilations = [2, 2]", (8, 8, 3, 3)),
        ("strides = [2, 2], auto_pad = 'SAME_UPPER'".replace("'", '"'), (8, 8, 3, 3)),
        ("pads = [1, 0, 2, 1]", (8, 8, 3, 2)),
    ],
)
def test_every_kind_of_convolution(attributes, shape, tmp_path):
    found, _ = check(net(f"y = Conv <{attributes}> (x, w, b)"), {"w": shape, "b": shape[:1]}, tmp_path)
    assert found["QLinearConv"] == 1


KINDS = {
    "grouped": ("Conv <group = 2>", (8, 4)),
    "depthwise": ("Conv <group = 8>", (8, 1)),
    "dilated": ("Conv <dilations = [RANK]>", (8, 8)),
    "transposed": ("ConvTranspose", (8, 8)),
    "grouped and transposed": ("ConvTranspose <group = 2>", (8, 4)),
}


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 21])
@pytest.mark.parametrize("rank", [3, 4, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_at_every_rank_and_opset(kind, rank, opset, tmp_path):
    call, channels = KINDS[kind]
    call = call.replace("RANK", ", ".join(["2"] * (rank - 2)))
    space = (8,) * (rank - 2)
    text = net(f"a = {call} (x, w, b)\n y = Relu (a)", opset, f"float[N, 8, {', '.join(map(str, space))}]")
    weights = {"w": (*channels, *[3] * (rank - 2)), "b": (8,)}
    manner = "quant:scheme=static:calibrate=minmax:rounding=nearest"
    found, result = check(text, weights, tmp_path, (2, 8, *space), least=25, scheme=manner)
    transposed = "ConvTranspose" in call
    assert found["ConvTranspose" if transposed else "QLinearConv"] == 1
    assert ("no layer with an integer kernel" in " ".join(result.report.notes)) == transposed


def test_a_transposed_convolution_stays_float_beside_one_that_does_not(tmp_path):
    body = "a = Conv (x, w)\n y = ConvTranspose (a, v)"
    found, _ = check(net(body), {"w": (8, 8, 3, 3), "v": (8, 4, 3, 3)}, tmp_path)
    assert (found["QLinearConv"], found["ConvTranspose"]) == (1, 1)


def test_tensorrt_has_a_transposed_one(tmp_path):
    _, result = check(net("y = ConvTranspose (x, v)"), {"v": (8, 4, 3, 3)}, tmp_path, target="tensorrt")
    (found,) = [node for node in result.model.graph.nodes if node.op == "ConvTranspose"]
    weight = found.inputs[1].producer
    assert (weight.op, weight.attrs["axis"], weight.inputs[1].shape) == ("DequantizeLinear", 1, (4,))


def test_a_weight_that_two_layers_share_is_stored_once(tmp_path):
    body = "a = Conv <pads = [1, 1, 1, 1]> (x, w)\n r = Relu (a)\n y = Conv (r, w)"
    found, result = check(net(body), {"w": (8, 8, 3, 3)}, tmp_path)
    assert found["QLinearConv"] == 2
    weights = [one for one in result.model.to_proto().graph.initializer if len(one.dims) == 4]
    assert len(weights) == 1


def test_weights_that_constant_nodes_give(tmp_path):
    model = proto(
        net("a = Conv (x, w, b)\n r = Relu (a)\n y = Conv (r, v)"), {"w": (8, 8, 3, 3), "b": (8,), "v": (4, 8, 1, 1)}
    )
    graph, x = model.graph, samples(IMAGE)
    for tensor in reversed(graph.initializer):
        graph.node.insert(0, onnx.helper.make_node("Constant", [], [tensor.name], value=tensor))
    del graph.initializer[:]
    result = quantised(model, saved(tmp_path, x=x))
    assert executed(result.model)["QLinearConv"] == 2
    assert sqnr(run(model, x=x)[0], run(result.model, x=x)[0]) > 25


def test_a_weight_that_is_an_input_stays_with_the_reason(tmp_path):
    text = net("a = Conv (x, v)\n y = Conv (a, w)", x="float[1, 8, 10, 10]", more=", float[8, 8, 3, 3] w")
    model = proto(text, {"v": (8, 8, 3, 3)})
    data = saved(tmp_path, x=samples((1, 8, 10, 10)), w=samples((8, 8, 3, 3)))
    result = quantised(model, data)
    assert executed(result.model)["Conv"] == executed(result.model)["QLinearConv"] == 1
    assert any("its weight w is no constant" in refusal.reason for refusal in result.report.refusals)


@pytest.mark.parametrize(
    ("channel", "value"),
    [("zero", 0.0), ("constant", 0.5), ("outlier", 1e4)],
)
@pytest.mark.parametrize("form", ["qdq", "qoperator"])
def test_channels_of_weights_that_are_zero_constant_or_huge(channel, value, form, tmp_path):
    weight = np.random.default_rng(0).standard_normal((8, 8, 3, 3)).astype(np.float32)
    weight[3] = value
    bias = np.arange(8, dtype=np.float32) * 100
    text = net("a = Conv (x, w, b)\n l = LeakyRelu (a)\n y = Conv (l, v)")
    scheme = f"quant:scheme=static:format={form}:only=a"
    found, _ = check(text, {"w": weight, "b": bias, "v": (4, 8, 1, 1)}, tmp_path, scheme=scheme, least=20)
    assert found["QLinearConv"] == 1


def test_a_weight_with_nan_stays_with_the_reason(tmp_path):
    weight = samples((8, 8, 3, 3))
    weight[0, 0, 0, 0] = np.nan
    result = quantised(proto(net("y = Conv (x, w)"), {"w": weight}), saved(tmp_path, x=samples(IMAGE)))
    assert operators(result.model)["Conv"] == 1
    assert "QuantizeLinear" not in operators(result.model)
    assert any("w holds NaN" in note for note in result.report.notes)


def test_an_activation_that_is_nan_on_the_data_stays_with_the_reason(tmp_path):
    body = "l = Log (x)\n a = Conv (l, w)\n y = Conv (x, w)\n z = Add (a, y)"
    model = proto(net(body).replace("(float y)", "(float z)"), {"w": (8, 8, 3, 3)})
    x = samples(IMAGE)
    result = quantised(model, saved(tmp_path, x=x))
    assert executed(result.model)["QLinearConv"] == 1
    assert any("not finite" in refusal.reason for refusal in result.report.refusals)


@pytest.mark.parametrize("bad", ["nan", "shape", "dtype"])
def test_data_that_does_not_fit_is_an_error_before_anything_is_written(bad, tmp_path):
    x = samples(IMAGE)
    if bad == "nan":
        x[0, 0, 0, 0] = np.nan
    wrong = {"nan": x, "shape": samples((4, 7, 10, 10)), "dtype": np.full(IMAGE, "text")}[bad]
    with pytest.raises(GraphoptError):
        quantised(proto(net("y = Conv (x, w)"), {"w": (8, 8, 3, 3)}), saved(tmp_path, x=wrong))


def test_data_without_samples_is_an_error(tmp_path):
    with pytest.raises(GraphoptError, match="sample"):
        quantised(proto(net("y = Conv (x, w)"), {"w": (8, 8, 3, 3)}), saved(tmp_path, x=samples((0, 8, 10, 10))))


def test_layers_in_the_body_of_an_if_stay_with_the_reason(tmp_path):
    text = net(
        """c = Constant <value = bool[1] {1}> ()
        s = ReduceSum <keepdims = 0> (x)
        z = Constant <value_float = 0.0> ()
        p = Greater (s, z)
        y = If (p) <then_branch = t () => (float[N, 8, 8, 8] u) { u = Conv (x, w) },
                    else_branch = e () => (float[N, 8, 8, 8] v) { v = Conv (x, w) }>"""
    )
    model = proto(text, {"w": (8, 8, 3, 3)})
    x = samples(IMAGE)
    result = quantised(model, saved(tmp_path, x=x))
    assert np.array_equal(run(model, x=x)[0], run(result.model, x=x)[0])
    assert any("body of an If" in note for note in result.report.notes)


def test_a_model_without_layers_is_left_alone(tmp_path):
    result = quantised(proto(net("y = Exp (x)")), saved(tmp_path, x=samples(IMAGE)))
    assert operators(result.model) == {"Exp": 1}
    assert "no layer" in " ".join(result.report.notes)


def test_half_precision_is_left_alone_with_the_reason(tmp_path):
    text = net("y = Conv (x, w)", x="float16[N, 8, 10, 10]", y="float16 y")
    model = proto(text, {"w": samples((8, 8, 3, 3)).astype(np.float16)})
    result = quantised(model, saved(tmp_path, x=samples(IMAGE).astype(np.float16)))
    assert operators(result.model)["Conv"] == 1
    assert any("float16, not float" in note for note in result.report.notes)


STRUCTURES = {
    "the same operand twice": "a = Conv (x, w)\n b = Add (a, a)\n y = Mul (b, b)",
    "split and joined": "a = Conv (x, w)\n p, q = Split <axis = 1> (a)\n y = Concat <axis = 1> (q, p, a)",
    "a constant operand": "a = Conv (x, w)\n y = Add (a, c)",
    "a moved input": "t = Transpose <perm = [0, 1, 3, 2]> (x)\n y = Conv (t, w)",
    "pooled": "a = Conv (x, w)\n p = MaxPool <kernel_shape = [2, 2]> (a)\n y = AveragePool <kernel_shape = [2, 2]> (p)",
    "doubled in size": "a = Conv (x, w)\n y = Resize (a, , sizes)",
    "a clip beyond zero": "a = Conv (x, w)\n k = Clip (a, one, six)\n y = Conv (k, w)",
    "relu6": "a = Conv (x, w)\n k = Clip (a, nought, six)\n y = Conv (k, w)",
    "chosen by a condition": "a = Conv (x, w)\n z = Greater (a, nought)\n y = Where (z, a, c)",
    "two activations multiplied": "a = Conv (x, w)\n t = Transpose <perm = [0, 1, 3, 2]> (a)\n y = MatMul (a, t)",
    "an output with readers": "y = Conv (x, w)\n r = LeakyRelu (y)\n z = Conv (r, w)",
}
CONSTANTS = {
    "w": (8, 8, 3, 3),
    "c": (8, 1, 1),
    "sizes": np.array([1, 1, 2, 2], np.float32),
    "nought": np.float32(0),
    "one": np.float32(1),
    "six": np.float32(6),
}


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_every_structure(name, form, tmp_path):
    text = net(STRUCTURES[name])
    text = text.replace("(float y)", "(float y, float z)") if "z = Conv" in text else text
    found, _ = check(text, CONSTANTS, tmp_path, scheme=f"quant:scheme=static:format={form}", least=20)
    assert found["QLinearConv"] + found["QLinearMatMul"] >= 1
    assert not {"Conv", "FusedConv", "Add", "Mul", "Concat", "AveragePool", "MatMul"} & found.keys()


def test_inputs_with_defaults_are_fed_these(tmp_path):
    text = net(
        "a = Conv (x, w)\n t = Reshape (a, s)\n m = MatMul (t, v)\n y = Add (m, b)", more=", int64[2] s, float[5] b"
    )
    model = proto(text, {"w": (8, 8, 3, 3), "v": (512, 5)})
    held = {"s": np.array([-1, 512]), "b": samples((5,))}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in held.items())
    x = samples(IMAGE)
    result = quantised(model, saved(tmp_path, x=x), verify="region")
    assert executed(result.model)["QLinearConv"] == 1
    assert {value.name for value in result.model.to_proto().graph.input} == {"x", "s", "b"}
    assert sqnr(run(model, x=x)[0], run(result.model, x=x)[0]) > 25
