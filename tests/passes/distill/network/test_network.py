"""A model in PyTorch: its weights, its gradients, and what it gives back."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from graphopt.ir.reader import load
from graphopt.numerics.run import run
from tests.corpus import files
from tests.support import proto

torch = pytest.importorskip("torch", reason="distill needs torch")

from passes.distill.network.network import Network

RNG = np.random.default_rng(0)


def named(text: str, **weights) -> Network:
    return Network(load(proto(text, weights)))


def array(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("g (float[N, 4] x) => (float[N, 3] y) { m = MatMul (x, w)\n y = Add (m, b) }", {"w", "b"}),
        ("g (float[N, 4] x) => (float[N, 3] y) { s = Mul (x, c)\n y = MatMul (s, w) }", {"w"}),
        ("g (float[N, 4] x) => (float[N, 3] y) { t = Transpose (v)\n y = MatMul (x, t) }", {"v"}),
        ("g (float[N, 4] x) => (float[N, 4] y) { y = LayerNormalization (x, c, c) }", {"c"}),
        ("g (float[N, 4] x) => (float[N, 4] y) { y = Add (x, c) }", set()),
        ("g (int64[N] x) => (float[N, 3] y) { y = Gather (w, x) }", set()),
    ],
)
def test_weights_are_what_layers_multiply_add_and_scale_with(text, expected):
    network = named(text, w=(4, 3), v=(3, 4), b=(3,), c=(4,))
    assert set(network.weights) == expected


def test_a_weight_that_two_layers_share_is_one():
    network = named("g (float[N, 4] x) => (float[N, 4] y) { h = MatMul (x, w)\n y = MatMul (h, w) }", w=(4, 4))
    assert list(network.weights) == ["w"]


def test_weights_in_constant_nodes_are_weights():
    text = """g (float[N, 2] x) => (float[N, 2] y) {
        w = Constant <value = float[2, 2] {1.0, 2.0, 3.0, 4.0}> ()
        y = MatMul (x, w)
    }"""
    network = named(text)
    x = torch.tensor([[1.0, 1.0]])
    assert network({"x": x})["y"].tolist() == [[4.0, 6.0]]
    assert network({"x": x}, (), {"w": torch.eye(2)})["y"].tolist() == [[1.0, 1.0]]


def test_gradients_are_those_of_the_function():
    network = named(
        """g (float[2, 2, 5, 5] x) => (float[2, 3] y) {
            c = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (x, w, b)
            s = Softplus (c)
            p = GlobalAveragePool (s)
            f = Flatten (p)
            y = Gemm <transB = 1> (f, v)
        }""",
        w=(4, 2, 3, 3), b=(4,), v=(3, 4),
    )  # fmt: skip
    x = torch.from_numpy(array(2, 2, 5, 5)).double()
    weights = {name: weight.double().requires_grad_() for name, weight in network.weights.items()}
    network._held = {name: held.__class__(held.weight, None, torch.float64) for name, held in network._held.items()}
    names = list(weights)
    assert torch.autograd.gradcheck(
        lambda *given: network({"x": x}, (), dict(zip(names, given, strict=True)))["y"], tuple(weights.values())
    )


QUANTISED = """g (float[1, 2, 5, 5] x) => (float[1, 4, 3, 3] y) {
    xq = QuantizeLinear (x, xs, xz)
    xd = DequantizeLinear (xq, xs, xz)
    wd = DequantizeLinear <axis = 0> (w, ws, wz)
    bd = DequantizeLinear <axis = 0> (b, bs)
    c = Conv (xd, wd, bd)
    r = Relu (c)
    rq = QuantizeLinear (r, xs, xz)
    y = DequantizeLinear (rq, xs, xz)
}"""
SCALES = {
    "xs": np.float32(0.05), "xz": np.uint8(100), "ws": np.array([0.02, 0.03, 0.01, 0.05], np.float32),
    "wz": np.zeros(4, np.int8), "bs": np.array([0.001, 0.0015, 0.0005, 0.0025], np.float32),
}  # fmt: skip


def quantised() -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    integers = {
        "w": rng.integers(-127, 128, (4, 2, 3, 3)).astype(np.int8), "b": rng.integers(-999, 999, 4).astype(np.int32),
    }  # fmt: skip
    return proto(QUANTISED, SCALES | integers)


def test_a_quantised_network_computes_what_the_runtime_does():
    x = array(1, 2, 5, 5)
    (expected,) = run(quantised().SerializeToString(), {"x": x})
    found = Network(load(quantised()))({"x": torch.from_numpy(x)})["y"]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_quantised_weights_are_trained_as_real_numbers_and_stay_on_their_grid():
    network = Network(load(quantised()))
    assert set(network.weights) == {"w", "b"}
    before = {constant.name: values for constant, values in network.arrays(network.weights).items()}
    np.testing.assert_array_equal(before["w"], network.constants["w"].values)
    np.testing.assert_array_equal(before["b"], network.constants["b"].values)
    step = torch.tensor(SCALES["ws"]).reshape(-1, 1, 1, 1)
    moved = network.arrays({**network.weights, "w": network.weights["w"] + 1.4 * step})
    after = {constant.name: values for constant, values in moved.items()}
    assert after["w"].dtype == np.int8
    np.testing.assert_array_equal(after["w"], np.minimum(before["w"].astype(int) + 1, 127))


def test_gradients_pass_through_rounding_but_not_through_clipping():
    network = named(
        """g (float[3] x) => (float[3] y) {
            q = QuantizeLinear (x, s, z)
            y = DequantizeLinear (q, s, z)
        }""",
        s=np.float32(0.1), z=np.uint8(0),
    )  # fmt: skip
    x = torch.tensor([-1.0, 0.234, 99.0], requires_grad=True)
    y = network({"x": x})["y"]
    torch.testing.assert_close(y.detach(), torch.tensor([0.0, 0.2, 25.5]))
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


BRANCHES = """g (float[N, 2] x, bool c) => (float[N, 2] y) {
    h = MatMul (x, w)
    y = If (c) <
        then_branch = g1 () => (float[N, 2] a) { a = Relu (h) },
        else_branch = g2 () => (float[N, 2] b) { b = MatMul (h, v) }
    >
}"""


@pytest.mark.parametrize("taken", [True, False])
def test_the_branch_that_is_taken_is_run(taken):
    weights = {"w": array(2, 2), "v": array(2, 2)}
    x = array(3, 2)
    message = proto(BRANCHES, weights)
    (expected,) = run(message.SerializeToString(), {"x": x, "c": np.array(taken)})
    network = Network(load(message))
    assert set(network.weights) == {"w", "v"}
    found = network({"x": torch.from_numpy(x), "c": torch.tensor(taken)})["y"]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_inner_tensors_can_be_had_too():
    network = named("g (float[N, 4] x) => (float[N, 3] y) { m = MatMul (x, w)\n y = Relu (m) }", w=(4, 3))
    found = network({"x": torch.ones(1, 4)}, [network.tensors["m"]])
    torch.testing.assert_close(found["y"], torch.relu(found["m"]))


def test_defaults_of_overridable_initializers_are_used_and_may_be_fed():
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[2] x, float[2] k = {1.0, 2.0}) => (float[2] y) { y = Mul (x, k) }"""
    network = Network(load(onnx.parser.parse_model(text)))
    x = torch.tensor([3.0, 4.0])
    assert network({"x": x})["y"].tolist() == [3.0, 8.0]
    assert network({"x": x, "k": x})["y"].tolist() == [9.0, 16.0]


SMALL = (
    "digits",
    "resnet8",
    "kws-dscnn",
    "dtln",
    "silero-vad-op15",
    "bert.ts",
    "gpt2",
    "swin.dynamo",
    "whisper.ts",
    "unet.ts",
)


@pytest.mark.skipif(not files.models(), reason="no corpus beside the checkout")
@pytest.mark.parametrize("path", [path for path in files.models() if path.name.startswith(SMALL)], ids=lambda p: p.name)
def test_networks_of_all_kinds_give_what_the_runtime_gives(path):
    feeds = files.inputs(path)
    network = Network(load(path))
    weights = {name: weight.requires_grad_() for name, weight in network.weights.items()}
    found = network({name: torch.from_numpy(value) for name, value in feeds.items()}, (), weights)
    for value, expected in zip(found.values(), run(str(path), feeds), strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(value.detach().numpy() / scale, expected / scale, atol=1e-4)
    sum(value.square().sum() for value in found.values() if value.is_floating_point()).backward()
    trained = [weight for weight in weights.values() if weight.grad is not None]
    assert trained
    assert all(bool(torch.isfinite(weight.grad).all()) for weight in trained)
