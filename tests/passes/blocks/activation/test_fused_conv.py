from __future__ import annotations

import numpy as np
import pytest

from passes.blocks.activation import conv_activation, conv_add_relu, conv_relu
from tests.support import fires, refuses

W = {"w": (4, 4, 3, 3), "b": (4,)}
CONV = "c = Conv<pads = [1, 1, 1, 1], strides = [1, 1]>(x, w, b) "
IMAGE = "float[N,4,H,H]"


def net(body: str, x: str = IMAGE, more: str = "", opset: int = 21) -> str:
    return f'<ir_version: 10, opset_import: ["": {opset}]> g ({x} x{more}) => ({x} y) {{ {body} }}'


def test_relu_goes_into_the_convolution_before_it():
    model = fires(conv_relu, net(CONV + "y = Relu(c)"), W, leaves=["FusedConv"])
    node = model.graph.nodes[0]
    assert node.domain == "com.microsoft"
    assert node.attrs == {"pads": [1, 1, 1, 1], "strides": [1, 1], "activation": "Relu"}
    assert model.opsets["com.microsoft"] == 1


@pytest.mark.parametrize(
    ("x", "weights", "conv"),
    [
        (IMAGE, {"w": (4, 4, 1, 1)}, "c = Conv(x, w) "),
        (IMAGE, {"w": (4, 1, 3, 3)}, 'c = Conv<group = 4, auto_pad = "SAME_UPPER">(x, w) '),
        ("float[N,4,L]", {"w": (4, 4, 3)}, "c = Conv<pads = [1, 1]>(x, w) "),
        ("float[N,4,D,D,D]", {"w": (4, 4, 1, 1, 1)}, "c = Conv(x, w) "),
    ],
    ids=["without bias", "depthwise", "one dimension", "three dimensions"],
)
def test_fires_on_every_kind_of_convolution(x: str, weights: dict[str, tuple[int, ...]], conv: str):
    fires(conv_relu, net(conv + "y = Relu(c)", x), weights, leaves=["FusedConv"])


def test_a_convolution_that_something_else_reads_stays():
    refuses(conv_relu, net(CONV + "r = Relu(c) y = Add(r, c)"), W)


def test_a_convolution_that_the_graph_returns_stays():
    text = f"g ({IMAGE} x) => ({IMAGE} y, {IMAGE} c) {{ {CONV} y = Relu(c) }}"
    refuses(conv_relu, text, W)


def test_only_float32_has_a_kernel():
    half = {name: np.zeros(shape, np.float16) for name, shape in W.items()}
    refuses(conv_relu, net(CONV + "y = Relu(c)", "float16[N,4,H,H]"), half, reason="float32 alone")


def test_portable_models_have_no_operators_of_a_runtime():
    refuses(conv_relu, net(CONV + "y = Relu(c)"), W, reason="does not run com.microsoft::FusedConv", target="portable")


ACTIVATIONS = [
    ("y = Sigmoid(c)", None),
    ("y = Tanh(c)", None),
    ("y = LeakyRelu<alpha = 0.25>(c)", [0.25]),
    ("y = LeakyRelu(c)", [0.01]),
    ("y = HardSigmoid<alpha = 0.125>(c)", [0.125, 0.5]),
    ("y = HardSigmoid<beta = 0.25>(c)", [0.2, 0.25]),
    ("y = Clip(c, low, high)", [-0.5, 1.0]),
]
LIMITS = W | {"low": np.float32(-0.5), "high": np.float32(1)}


@pytest.mark.parametrize(("body", "parameters"), ACTIVATIONS, ids=[body for body, _ in ACTIVATIONS])
def test_the_cpu_has_more_activations(body: str, parameters: list[float] | None):
    model = fires(conv_activation, net(CONV + body), LIMITS, leaves=["FusedConv"], target="cpu")
    found = model.graph.nodes[0].attrs.get("activation_params")
    assert found == (parameters if parameters is None else pytest.approx(parameters))


@pytest.mark.parametrize("target", ["ort", "cuda"])
def test_elsewhere_they_stay(target: str):
    refuses(conv_activation, net(CONV + "y = Sigmoid(c)"), W, reason="only on the CPU", target=target)


def test_limits_must_be_known():
    body = CONV + "y = Clip(c, low, high)"
    refuses(conv_activation, net(body, more=", float high"), W | {"low": np.float32(0)}, target="cpu")


ADD = CONV + "s = Add(c, z) y = Relu(s)"


def test_a_summand_of_the_same_shape_goes_into_the_convolution():
    model = fires(conv_add_relu, net(ADD, more=f", {IMAGE} z"), W, leaves=["FusedConv"])
    assert len(model.graph.nodes[0].inputs) == 4


def test_a_convolution_without_bias_gets_one():
    text = net("c = Conv(x, w) s = Add(z, c) y = Relu(s)", more=f", {IMAGE} z")
    fires(conv_add_relu, text, {"w": (4, 4, 1, 1)}, leaves=["FusedConv"])


def test_a_convolution_of_unknown_channels_gets_no_bias():
    given = "float[N,4,H,H] x, float[K,4,1,1] w, float[N,K,H,H] z"
    text = f"g ({given}) => (float[N,K,H,H] y) {{ c = Conv(x, w) s = Add(z, c) y = Relu(s) }}"
    refuses(conv_add_relu, text, reason="the number of channels is unknown")


@pytest.mark.parametrize("z", ["float[1,4,1,1]", "float[M,4,H,H]", "float[4,1,1]"])
def test_a_summand_that_may_broadcast_stays(z: str):
    text = f"g (float[N,4,H,H] x, {z} z) => (float[?,4,H,H] y) {{ {ADD} }}"
    refuses(conv_add_relu, text, W, reason="may have another shape")
