"""A layer is a product of rows and a matrix, and its weights and that matrix say the same."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.ir.reader import load
from graphopt.numerics.run import run
from passes.prune.recover.layers import layer_of, layers, rows_of
from tests.support import proto

CASES = {
    "a convolution": ("Conv<strides = [2, 1], pads = [1, 0, 1, 2], dilations = [1, 2]>(x, w, b)", (6, 4, 3, 2)),
    "a grouped one": ("Conv<group = 2, pads = [1, 1, 1, 1]>(x, w, b)", (6, 2, 3, 3)),
    "one for each channel": ('Conv<group = 4, auto_pad = "SAME_UPPER", strides = [2, 2]>(x, w, b)', (4, 1, 3, 3)),
    "padded at the start": ('Conv<auto_pad = "SAME_LOWER", strides = [2, 2]>(x, w, b)', (5, 4, 4, 4)),
    "a transposed one": ("ConvTranspose<strides = [2, 3], pads = [1, 1, 0, 1]>(x, w, b)", (4, 5, 3, 3)),
    "transposed in groups": ("ConvTranspose<group = 2, dilations = [2, 1], strides = [2, 2]>(x, w, b)", (4, 3, 3, 3)),
}  # fmt: skip


def _layer(call: str, shape: tuple[int, ...], size: tuple[int, ...], outputs: int) -> tuple[object, object]:
    dims = ", ".join(map(str, size))
    message = proto(f"g (float[{dims}] x) => (float y) {{ y = {call} }}", {"w": shape, "b": (outputs,)})
    return message, load(message).graph.nodes[0]


@pytest.mark.parametrize("case", CASES)
def test_the_rows_times_the_matrix_are_the_output(case: str) -> None:
    call, shape = CASES[case]
    groups = 4 if "group = 4" in call else 2 if "group = 2" in call else 1
    outputs = shape[1] * groups if "Transpose" in call else shape[0]
    message, node = _layer(call, shape, (3, 4, 7, 8), outputs)
    layer = layer_of(node)
    x = np.random.default_rng(1).standard_normal((3, 4, 7, 8)).astype("f4")
    (y,) = run(message.SerializeToString(), {"x": x})
    rows = rows_of(layer.places(y), 50, np.random.default_rng(2))
    made = np.matmul(layer.inputs(x, y.shape, rows).transpose(1, 0, 2), layer.matrix(layer.weight.values))
    made = made.transpose(1, 0, 2) + layer.bias.values.reshape(1, layer.groups, -1)
    np.testing.assert_allclose(made, layer.outputs(y, rows), atol=1e-4)
    np.testing.assert_array_equal(layer.weights(layer.matrix(layer.weight.values), shape), layer.weight.values)


@pytest.mark.parametrize(("call", "shape"), [("Gemm<transB = 1>(x, w, b)", (5, 4)), ("MatMul(x, w)", (4, 5))])
def test_products_of_matrices_are_layers(call: str, shape: tuple[int, ...]) -> None:
    message, node = _layer(call, shape, (6, 4), 5)
    layer = layer_of(node)
    x = np.random.default_rng(1).standard_normal((6, 4)).astype("f4")
    (y,) = run(message.SerializeToString(), {"x": x})
    made = layer.inputs(x, y.shape, np.arange(6))[:, 0] @ layer.matrix(layer.weight.values)[0]
    made = made + (layer.bias.values if layer.bias else 0)
    np.testing.assert_allclose(made, layer.outputs(y, np.arange(6))[:, 0], atol=1e-5)


@pytest.mark.parametrize(
    "call", ["Gemm<transA = 1>(x, w, b)", "Gemm<alpha = 2.0>(x, w, b)", "MatMul(w, x)", "MatMul(x, x)"]
)
def test_what_is_no_plain_product_with_weights_is_no_layer(call: str) -> None:
    message, node = _layer(call, (4, 4), (4, 4), 4)
    del message
    assert layer_of(node) is None


def test_weights_that_two_layers_read_are_left_alone() -> None:
    message = proto("g (float[4, 4] x) => (float[4, 4] z) { y = MatMul(x, w)  z = MatMul(y, w) }", {"w": (4, 4)})
    assert not list(layers(load(message)))


def test_a_layer_makes_up_for_errors_where_a_shortcut_joins_it_and_its_bias_may_be_added_after_it() -> None:
    message = proto(
        "g (float[n, 4] x) => (float[n, 4] y) { a = MatMul(x, w)  c = Add(b, a)  s = Add(x, c)  y = Relu(s) }",
        {"w": (4, 4), "b": (4,)},
    )
    (layer,) = layers(load(message))
    assert (layer.point.name, layer.bias.tensor.name) == ("s", "b")
