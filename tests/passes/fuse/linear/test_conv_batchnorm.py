import numpy as np
import pytest
from onnx import numpy_helper

from passes.fuse.linear import conv_batchnorm
from tests.support import fires, refuses

HEADER = '<ir_version: 8, opset_import: ["" : {}]>\n'


def normalisation(channels, seed=1, dtype=np.float32):
    rng = np.random.default_rng(seed)
    made = {name: rng.standard_normal(channels).astype(dtype) for name in ("gamma", "beta", "mean")}
    return made | {"var": rng.uniform(0.1, 2, channels).astype(dtype)}


def model(conv="Conv", attrs="", bias="", bn="", image="6,9,8", dtype="float", outputs="y"):
    return f"""agraph ({dtype}[N,{image}] x) => ({dtype}[N,M,...] y) {{
      z = {conv} {attrs} (x, w{bias})
      {outputs} = BatchNormalization {bn} (z, gamma, beta, mean, var)
    }}""".replace("[N,M,...]", "[" + ",".join("NMHWD"[: 2 + image.count(",")]) + "]")


@pytest.mark.parametrize(
    ("image", "attrs", "weights"),
    [
        ("6,9", "", (4, 6, 3)),
        ("6,9,8", "<pads = [1,0,1,2], strides = [2,1]>", (4, 6, 3, 3)),
        ("6,9,8", '<group = 2, auto_pad = "SAME_UPPER">', (4, 3, 3, 3)),
        ("6,9,8", "<group = 6, dilations = [2,2]>", (12, 1, 3, 3)),
        ("6,5,4,3", "<group = 3>", (6, 2, 2, 2, 2)),
    ],
)
@pytest.mark.parametrize("bias", ["", ", b"])
def test_conv_of_any_rank_and_group(image, attrs, weights, bias):
    text = model(attrs=attrs, image=image, bias=bias, bn="<epsilon = 0.02>")
    given = {"w": weights, **normalisation(weights[0])} | ({"b": (weights[0],)} if bias else {})
    fires(conv_batchnorm, text, given, leaves=["Conv"])


@pytest.mark.parametrize(
    ("image", "attrs", "weights", "channels"),
    [
        ("6,9", "", (6, 4, 3), 4),
        ("6,9,8", "<strides = [2,2], output_padding = [1,1]>", (6, 4, 3, 3), 4),
        ("6,9,8", "<group = 2>", (6, 5, 3, 3), 10),
        ("6,9,8", "<group = 6, pads = [1,1,1,1]>", (6, 1, 3, 3), 6),
        ("6,9,8", "<group = 3>", (6, 2, 3, 2), 6),
    ],
)
@pytest.mark.parametrize("bias", ["", ", b"])
def test_transposed_conv_of_any_rank_and_group(image, attrs, weights, channels, bias):
    text = model("ConvTranspose", attrs, bias, image=image)
    given = {"w": weights, **normalisation(channels)} | ({"b": (channels,)} if bias else {})
    fires(conv_batchnorm, text, given, leaves=["ConvTranspose"])


@pytest.mark.parametrize(
    ("opset", "bn"),
    [
        (7, "<spatial = 1>"),
        (8, ""),
        (9, "<momentum = 0.5>"),
        (13, ""),
        (14, "<training_mode = 0>"),
        (15, ""),
        (22, ""),
        (25, ""),
    ],
)
def test_opsets(opset, bn):
    text = HEADER.format(opset) + model(bn=bn)
    fires(conv_batchnorm, text, {"w": (4, 6, 3, 3), **normalisation(4)}, leaves=["Conv"])


@pytest.mark.parametrize(
    ("opset", "bn", "reason"),
    [
        (14, "<training_mode = 1>", "training mode"),
        (8, "<spatial = 0>", "not per channel"),
        (6, "", "training mode"),
    ],
)
def test_refuses_other_modes(opset, bn, reason):
    shape = (4, 7, 6) if "spatial" in bn else 4
    outputs = "y, a, b" if "training" in bn else "y"
    text = HEADER.format(opset) + model(bn=bn, outputs=outputs)
    refuses(conv_batchnorm, text, {"w": (4, 6, 3, 3), **normalisation(shape)}, reason="" if opset == 14 else reason)


def test_refuses_more_outputs():
    text = HEADER.format(9) + model(outputs="y, m, v")
    refuses(conv_batchnorm, text, {"w": (4, 6, 3, 3), **normalisation(4)}, reason="more outputs")


def test_half_precision():
    weights = np.random.default_rng(3).standard_normal((4, 6, 3, 3)).astype(np.float16)
    given = {"w": weights, **normalisation(4, dtype=np.float16)}
    fires(conv_batchnorm, model(dtype="float16"), given, leaves=["Conv"])


def test_statistics_of_another_type():
    given = normalisation(4, dtype=np.float16)
    given |= {name: given[name].astype(np.float32) for name in ("mean", "var")}
    weights = np.random.default_rng(3).standard_normal((4, 6, 3, 3)).astype(np.float16)
    left = fires(conv_batchnorm, model(dtype="float16"), {"w": weights, **given}, leaves=["Conv"])
    assert {tensor.dtype for tensor in left.graph.nodes[0].inputs[1:]} == {np.dtype(np.float16)}


def test_a_channel_without_variance():
    given = normalisation(4) | {"var": np.array([0, 1, 0, 2], np.float32)}
    fires(conv_batchnorm, model(), {"w": (4, 6, 3, 3), **given}, leaves=["Conv"])


def test_refuses_a_negative_variance():
    given = normalisation(4) | {"var": np.array([1, 1, -1, 1], np.float32)}
    refuses(conv_batchnorm, model(), {"w": (4, 6, 3, 3), **given}, reason="not finite")


def test_refuses_weights_that_overflow():
    given = normalisation(4, dtype=np.float16) | {"gamma": np.full(4, 6e4, np.float16)}
    weights = np.full((4, 6, 3, 3), 2, np.float16)
    refuses(conv_batchnorm, model(dtype="float16"), {"w": weights, **given}, reason="do not fit float16")


def test_refuses_a_graph_output_between():
    text = """agraph (float[N,6,9,8] x) => (float[N,4,H,W] y, float[N,4,H,W] z) {
      z = Conv (x, w)
      y = BatchNormalization (z, gamma, beta, mean, var)
    }"""
    refuses(conv_batchnorm, text, {"w": (4, 6, 3, 3), **normalisation(4)})


def test_refuses_another_reader_between():
    text = """agraph (float[N,6,9,8] x) => (float[N,4,H,W] y) {
      z = Conv (x, w)
      n = BatchNormalization (z, gamma, beta, mean, var)
      y = Add (n, z)
    }"""
    refuses(conv_batchnorm, text, {"w": (4, 6, 3, 3), **normalisation(4)})


def test_refuses_weights_that_a_caller_may_override():
    text = """agraph (float[N,6,9,8] x, float[4,6,3,3] w) => (float[N,4,H,W] y) {
      z = Conv (x, w)
      y = BatchNormalization (z, gamma, beta, mean, var)
    }"""
    refuses(conv_batchnorm, text, {"w": (4, 6, 3, 3), **normalisation(4)})


def test_refuses_statistics_computed_at_run_time():
    text = """agraph (float[N,6,9,8] x, float[4] mean) => (float[N,4,H,W] y) {
      z = Conv (x, w)
      y = BatchNormalization (z, gamma, beta, mean, var)
    }"""
    given = normalisation(4)
    del given["mean"]
    refuses(conv_batchnorm, text, {"w": (4, 6, 3, 3), **given})


SHARED = """agraph (float[N,{c},9,8] x, float[N,{c},9,8] v) => (float[N,M,H,W] y, float[N,M,H,W] u) {{
  z = Conv (x, w)
  y = BatchNormalization (z, gamma, beta, mean, var)
  u = Conv (v, w)
}}"""


def test_small_shared_weights_are_copied():
    left = fires(conv_batchnorm, SHARED.format(c=6), {"w": (4, 6, 3, 3), **normalisation(4)}, leaves=["Conv"] * 2)
    first, second = (node.inputs[1] for node in left.graph.nodes)
    assert first is not second


def test_refuses_a_copy_of_large_shared_weights():
    weights = {"w": (32, 32, 3, 3), **normalisation(32)}
    refuses(conv_batchnorm, SHARED.format(c=32), weights, reason="a second copy is large")


def test_equal_layers_with_their_own_weights():
    text = """agraph (float[N,8,9,8] x) => (float[N,8,H,W] y) {
      a = Conv <pads = [1,1,1,1]> (x, w1)
      b = BatchNormalization (a, gamma, beta, mean, var)
      c = Relu (b)
      d = Conv <pads = [1,1,1,1]> (c, w2)
      y = BatchNormalization (d, gamma, beta, mean, var)
    }"""
    weights = {"w1": (8, 8, 3, 3), "w2": (8, 8, 3, 3), **normalisation(8)}
    fires(conv_batchnorm, text, weights, leaves=["Conv", "Relu", "Conv"])


def test_weights_in_constant_nodes():
    values = np.random.default_rng(0).standard_normal((2, 1, 1, 1)).astype(np.float32)
    numbers = ", ".join(map(str, values.ravel()))
    text = f"""agraph (float[N,1,9,8] x) => (float[N,2,9,8] y) {{
      w = Constant <value = float[2,1,1,1] {{{numbers}}}> ()
      z = Conv (x, w)
      y = BatchNormalization (z, gamma, beta, mean, var)
    }}"""
    fires(conv_batchnorm, text, normalisation(2), leaves=["Conv", "Constant"])


def test_inside_a_branch():
    text = """agraph (bool p, float[2,6,9,8] x) => (float[2,4,7,6] y) {
      y = If (p) <
        then_branch = yes () => (float[2,4,7,6] a) {
          z = Conv (x, w)
          a = BatchNormalization (z, gamma, beta, mean, var)
        },
        else_branch = no () => (float[2,4,7,6] b) { b = Conv (x, w) }
      >
    }"""
    left = fires(conv_batchnorm, text, {"w": (4, 6, 3, 3), **normalisation(4)}, leaves=["If"])
    assert [node.op for node in left.graph.nodes[0].attrs["then_branch"].nodes] == ["Conv"]


def test_new_weights_are_what_the_formula_says():
    weights = np.arange(24, dtype=np.float32).reshape(4, 6, 1, 1)
    given = {name: np.arange(1, 5, dtype=np.float32) * k for k, name in enumerate(("gamma", "beta", "mean", "var"), 1)}
    left = fires(conv_batchnorm, model(bn="<epsilon = 0.5>"), {"w": weights, **given}, leaves=["Conv"])
    made = {t.name.rsplit("_", 1)[-1]: numpy_helper.to_array(t) for t in left.to_proto().graph.initializer}
    scale = given["gamma"] / np.sqrt(given["var"].astype(np.float64) + 0.5)
    folded, bias = sorted(made.values(), key=lambda a: -a.ndim)
    np.testing.assert_allclose(folded, weights * scale[:, None, None, None], rtol=1e-6)
    np.testing.assert_allclose(bias, given["beta"] - given["mean"] * scale, rtol=1e-6)
