from __future__ import annotations

import numpy as np
import pytest

from passes.blocks.linear import (
    gemm_activation,
    merged,
    merged_products,
    scaled_operand,
    scaled_product,
    sum_of_three,
    transposed_operand,
)
from tests.support import fires, refuses

Q, K = "float[N,2,S,8]", "float[N,2,T,8]"
SCORES = f"g ({Q} q, {K} k) => (float[N,2,S,T] y) {{{{ {{}} }}}}"
FACTOR = {"c": np.float32(0.125)}
SWAP = "Transpose<perm = [0, 1, 3, 2]>"


def test_a_transposed_second_operand():
    model = fires(transposed_operand, SCORES.format(f"t = {SWAP}(k) y = MatMul(q, t)"), leaves=["FusedMatMul"])
    assert model.graph.nodes[0].attrs == {"transB": 1}


def test_a_transposed_first_operand():
    text = "g (float[8,S] q, float[8,T] k) => (float[S,T] y) { t = Transpose(q) y = MatMul(t, k) }"
    model = fires(transposed_operand, text, leaves=["FusedMatMul"])
    assert model.graph.nodes[0].attrs == {"transA": 1}


def test_axes_that_are_reversed_stay():
    text = "g (float[N,2,8] q, float[S,8,N] k) => (float[N,2,S] y) { t = Transpose(k) y = MatMul(q, t) }"
    refuses(transposed_operand, text, reason="other axes")


def test_both_operands_and_the_factor():
    body = "t = Transpose(q) u = Transpose(k) p = MatMul(t, u) y = Mul(p, c)"
    text = f"g (float[8,S] q, float[T,8] k) => (float[S,T] y) {{ {body} }}"
    model = fires([transposed_operand, scaled_product], text, FACTOR, leaves=["FusedMatMul"])
    assert model.graph.nodes[0].attrs == {"transA": 1, "transB": 1, "alpha": 0.125}


def test_half_precision():
    body = "t = Transpose<perm = [0, 2, 1]>(k) y = MatMul(q, t)"
    text = f"g (float16[N,S,8] q, float16[N,T,8] k) => (float16[N,S,T] y) {{ {body} }}"
    fires(transposed_operand, text, leaves=["FusedMatMul"])


def test_a_transposed_tensor_that_something_else_reads_stays():
    text = f"g ({Q} q, {K} k) => (float[N,2,S,T] y, float[N,2,8,T] z) {{ t = {SWAP}(k) y = MatMul(q, t) z = Neg(t) }}"
    refuses(transposed_operand, text)


def test_other_axes_stay_where_they_are():
    body = "t = Transpose<perm = [0, 2, 1, 3]>(q) y = MatMul(t, k)"
    text = f"g (float[N,S,2,8] q, float[N,2,8,T] k) => (float[N,2,S,T] y) {{ {body} }}"
    refuses(transposed_operand, text, reason="other axes")


def test_a_vector_has_no_axes_to_exchange():
    text = "g (float[8,S] q, float[8] k) => (float[S] y) { t = Transpose(q) y = MatMul(t, k) }"
    refuses(transposed_operand, text, reason="a vector")


def test_a_factor():
    text = "g (float[N,S,8] q, float[N,8,T] k) => (float[N,S,T] y) { p = MatMul(q, k) y = Mul(c, p) }"
    model = fires(scaled_product, text, FACTOR, leaves=["FusedMatMul"])
    assert model.graph.nodes[0].attrs == {"alpha": 0.125}


def test_a_factor_of_a_product_that_has_one():
    body = "p = com.microsoft.FusedMatMul<alpha = 0.5, transB = 1>(q, k) y = Mul(p, c)"
    header = '<ir_version: 10, opset_import: ["" : 17, "com.microsoft" : 1]>'
    text = f"{header} g (float[N,S,8] q, float[N,T,8] k) => (float[N,S,T] y) {{ {body} }}"
    model = fires(scaled_product, text, FACTOR, leaves=["FusedMatMul"])
    assert model.graph.nodes[0].attrs == {"alpha": 1 / 16, "transB": 1}


@pytest.mark.parametrize(
    ("c", "y", "reason"),
    [
        (np.ones(8), "[N,S,8]", "not a single number"),
        (np.array(np.inf), "[N,S,8]", "fit an attribute"),
        (np.ones((1, 1, 1, 1)), "[1,N,S,8]", "more dimensions"),
    ],
)
def test_only_a_number_is_a_factor(c: np.ndarray, y: str, reason: str):
    text = f"g (float[N,S,8] q, float[N,8,8] k) => (float{y} y) {{ p = MatMul(q, k) y = Mul(p, c) }}"
    refuses(scaled_product, text, {"c": c.astype(np.float32)}, reason=reason)


def test_a_factor_of_float64_must_fit_an_attribute():
    text = "g (double[N,S,8] q, double[N,8,8] k) => (double[N,S,8] y) { p = MatMul(q, k) y = Mul(p, c) }"
    fires(scaled_product, text, {"c": np.float64(0.125)}, leaves=["FusedMatMul"], target="cpu")
    refuses(scaled_product, text, {"c": np.float64(0.1)}, reason="fit an attribute", target="cpu")


@pytest.mark.parametrize("body", ["s = Mul(q, c) y = MatMul(s, k)", "s = Mul(c, k) y = MatMul(q, s)"])
def test_a_factor_of_an_operand(body):
    text = f"g (float[N,S,8] q, float[N,8,T] k) => (float[N,S,T] y) {{ {body} }}"
    model = fires(scaled_operand, text, FACTOR, leaves=["FusedMatMul"])
    assert model.graph.nodes[0].attrs == {"alpha": 0.125}


def test_a_factor_of_both_operands_of_a_product_that_has_one():
    body = "s = Mul(q, c) t = Mul(k, c) y = com.microsoft.FusedMatMul<alpha = 2.0, transB = 1>(s, t)"
    header = '<ir_version: 10, opset_import: ["" : 17, "com.microsoft" : 1]>'
    text = f"{header} g (float[N,S,8] q, float[N,T,8] k) => (float[N,S,T] y) {{ {body} }}"
    model = fires(scaled_operand, text, FACTOR, leaves=["FusedMatMul"])
    assert model.graph.nodes[0].attrs == {"alpha": 2 / 64, "transB": 1}


def test_a_factor_that_something_else_reads_stays():
    text = "g (float[N,S,8] q, float[N,8,T] k) => (float[N,S,T] y, float[N,S,8] s) { s = Mul(q, c) y = MatMul(s, k) }"
    refuses(scaled_operand, text, FACTOR)


def test_an_operand_with_more_dimensions_by_its_factor_stays():
    text = "g (float[S,8] q, float[1,8,T] k) => (float[1,S,T] y) { s = Mul(q, c) y = MatMul(s, k) }"
    refuses(scaled_operand, text, {"c": np.ones((1, 1, 1), np.float32)}, reason="more dimensions")


def test_weights_beside_a_factor_take_it():
    text = "g (float[N,S,8] q) => (float[N,S,4] y) { s = Mul(q, c) y = MatMul(s, w) }"
    refuses(scaled_operand, text, FACTOR | {"w": (8, 4)}, reason="constant")


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        (transposed_operand, "s = Mul(q, c) t = Transpose(s) y = MatMul(t, k)"),
        (scaled_operand, "s = Mul(q, c) y = MatMul(s, k)"),
        (scaled_product, "p = MatMul(q, k) y = Mul(p, c)"),
    ],
)
def test_integers_have_no_fused_product(rule, body):
    text = f"g (int32[8,8] q, int32[8,T] k) => (int32[8,T] y) {{ {body} }}"
    refuses(rule, text, {"c": np.int32(2)}, reason="floating numbers")


def test_a_product_that_exchanges_its_batch_stays():
    body = f"t = {SWAP}(k) y = com.microsoft.FusedMatMul<transBatchA = 1>(q, t)"
    header = '<ir_version: 10, opset_import: ["" : 17, "com.microsoft" : 1]>'
    text = f"{header} g (float[2,S,N,8] q, float[N,2,T,8] k) => (float[N,2,S,T] y) {{ {body} }}"
    refuses(transposed_operand, text, reason="exchanges other axes itself")


def test_a_product_that_is_transposed_already():
    body = "t = Transpose(q) y = com.microsoft.FusedMatMul<transA = 1>(t, k)"
    header = '<ir_version: 10, opset_import: ["" : 17, "com.microsoft" : 1]>'
    text = f"{header} g (float[S,8] q, float[8,T] k) => (float[S,T] y) {{ {body} }}"
    model = fires(transposed_operand, text, leaves=["FusedMatMul"])
    assert not model.graph.nodes[0].attrs["transA"]


def test_weights_take_the_factor_themselves():
    text = "g (float[N,S,8] q) => (float[N,S,4] y) { p = MatMul(q, w) y = Mul(p, c) }"
    refuses(scaled_product, text, FACTOR | {"w": (8, 4)}, reason="constant")


def test_portable_models_keep_their_transposes():
    text = SCORES.format(f"t = {SWAP}(k) y = MatMul(q, t)")
    refuses(transposed_operand, text, reason="does not run com.microsoft::FusedMatMul", target="portable")


GEMM = "g (float[N,8] x) => (float[N,4] y) {{ h = Gemm<transB = 1, alpha = 0.5>(x, w, b) {} }}"
WEIGHTS = {"w": (4, 8), "b": (4,)}


@pytest.mark.parametrize(
    "activation", ["Relu(h)", "Sigmoid(h)", "Tanh(h)", "LeakyRelu(h)", "LeakyRelu<alpha = 0.3>(h)"]
)
def test_an_activation_goes_into_gemm_on_the_cpu(activation: str):
    text = GEMM.format(f"y = {activation}")
    model = fires(gemm_activation, text, WEIGHTS, leaves=["FusedGemm"], target="cpu")
    assert model.graph.nodes[0].attrs["activation"] == activation.split("<", maxsplit=1)[0].split("(", maxsplit=1)[0]
    refuses(gemm_activation, text, WEIGHTS, reason="does not run com.microsoft::FusedGemm")


def test_gemm_with_its_activation_since_opset_7():
    text = '<ir_version: 3, opset_import: ["" : 7]>' + GEMM.format("y = Relu(h)")
    fires(gemm_activation, text, WEIGHTS, leaves=["FusedGemm"], target="cpu")


def test_a_product_that_something_else_reads_stays():
    refuses(gemm_activation, GEMM.format("r = Relu(h) y = Add(r, h)"), WEIGHTS, target="cpu")


QKV = "q = MatMul(x, wq) k = MatMul(x, wk) v = MatMul(x, wv) s = Mul(q, k) y = Add(s, v)"
PARTS = {"wq": (8, 4), "wk": (8, 4), "wv": (8, 4)}


def test_products_of_one_tensor_are_one():
    text = f"g (float[N,S,8] x) => (float[N,S,4] y) {{ {QKV} }}"
    fires(merged_products, text, PARTS, leaves={"MatMul": 1, "Split": 1, "Mul": 1, "Add": 1})


def test_products_with_large_weights_stay(monkeypatch):
    monkeypatch.setattr(merged, "LARGEST", 3 * 8 * 4 * 4 - 1)
    text = f"g (float[N,S,8] x) => (float[N,S,4] y) {{ {QKV} }}"
    refuses(merged_products, text, PARTS, reason="together are large")


def test_products_are_one_since_split_takes_lengths():
    text = f'<ir_version: 7, opset_import: ["" : 13]> g (float[N,S,8] x) => (float[N,S,4] y) {{ {QKV} }}'
    fires(merged_products, text, PARTS, leaves={"MatMul": 1, "Split": 1, "Mul": 1, "Add": 1})


def test_products_of_different_widths_that_the_graph_returns():
    text = "g (float[N,S,8] x) => (float[N,S,4] q, float[N,S,6] k) { q = MatMul(x, wq) k = MatMul(x, wk) }"
    model = fires(merged_products, text, PARTS | {"wk": (8, 6)}, leaves={"MatMul": 1, "Split": 1})
    assert [tensor.name for tensor in model.graph.outputs] == ["q", "k"]


@pytest.mark.parametrize(
    ("body", "weights"),
    [
        ("y = MatMul(x, wq)", {"wq": (8, 4)}),
        ("a = MatMul(x, wq) b = MatMul(x, wq) y = Add(a, b)", {"wq": (8, 4)}),
        ("n = Neg(x) a = MatMul(x, wq) b = MatMul(n, wk) y = Add(a, b)", PARTS),
        ("a = MatMul(x, wq) b = MatMul(x, wk) y = Add(a, b)", PARTS | {"wk": (1, 8, 4)}),
        ("a = MatMul(x, wq) b = MatMul(x, wk) c = Add(a, b) d = ReduceSum(wk) y = Add(c, d)", PARTS),
    ],
)
def test_other_products_stay(body: str, weights: dict[str, tuple[int, ...]]):
    refuses(merged_products, f"g (float[N,S,8] x) => (float[N,S,4] y) {{ {body} }}", weights, reason="nothing else")


@pytest.mark.parametrize("body", ["a = Add(x, b) y = Add(a, k)", "a = Add(b, x) y = Add(k, a)"])
@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_three_summands_are_one_sum(body: str, dtype: str):
    text = f"g ({dtype}[N,S,8] x, {dtype}[N,S,8] k, {dtype}[8] b) => ({dtype}[N,S,8] y) {{ {body} }}"
    fires(sum_of_three, text, leaves=["Sum"])


@pytest.mark.parametrize(
    ("x", "body", "reason"),
    [
        ("float[N,8,H,W]", "a = Add(x, k) y = Add(a, x)", "one of pictures"),
        ("int64[N,8]", "a = Add(x, k) y = Add(a, x)", "only floating numbers"),
        ("float[N,8]", "a = Add(x, k) c = Add(a, x) y = Mul(c, a)", ""),
        ("float[N,8]", "e = Constant<value_float = 1.0>() a = Add(e, e) y = Add(a, x)", "two summands are constant"),
    ],
)
def test_other_sums_stay(x: str, body: str, reason: str):
    refuses(sum_of_three, f"g ({x} x, {x} k) => ({x} y) {{ {body} }}", reason=reason)


def test_sums_since_they_repeat_their_operands():
    text = '<ir_version: 3, opset_import: ["" : 8]> g (float[N,8] x, float[N,8] k) => (float[N,8] y)'
    fires(sum_of_three, text + " { a = Add(x, k) y = Add(a, x) }", leaves=["Sum"])


def test_a_sum_goes_into_its_normalisation_first():
    text = """g (float[N,S,8] x, float[N,S,8] k) => (float[N,S,8] y) {
        a = Add(x, b) t = Add(a, k) y = LayerNormalization(t, b) }"""
    fires("blocks", text, {"b": (8,)}, leaves=["SkipLayerNormalization"])
