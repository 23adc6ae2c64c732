import numpy as np
import pytest

from passes.fuse.linear import add_gemm, mul_gemm, scaling
from tests.support import fires, refuses


def model(first, product="MatMul (z, w)", x="N,6", result="N,5", dtype="float"):
    return f"agraph ({dtype}[{x}] x) => ({dtype}[{result}] y) {{ z = {first} y = {product} }}"


def numbers(*shape):
    return np.random.default_rng(5).uniform(0.5, 2, shape).astype(np.float32)


PRODUCTS = ["MatMul (z, w)", "Gemm (z, w)", "Gemm <alpha = 0.5, beta = 3.0> (z, w, b)", "Gemm <transB = 1> (z, w, b)"]
SHAPES = [(), (1,), (6,), (1, 6), (1, 1)]


def weights(product):
    return {"w": (5, 6) if "transB" in product else (6, 5)} | ({"b": (5,)} if ", b" in product else {})


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_factors(product, shape):
    for first in ("Mul (x, c)", "Mul (c, x)", "Div (x, c)"):
        fires(mul_gemm, model(first, product), weights(product) | {"c": numbers(*shape)}, leaves=[product.split()[0]])


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_summands(product, shape):
    for first in ("Add (x, c)", "Add (c, x)", "Sub (x, c)"):
        fires(add_gemm, model(first, product), weights(product) | {"c": numbers(*shape)}, leaves=["Gemm"])


@pytest.mark.parametrize(("rule", "left"), [(mul_gemm, "MatMul"), (add_gemm, "Gemm")])
def test_broadcasting_as_in_numpy_came_with_opset_7(rule, left):
    text = model("Mul (x, c)" if rule is mul_gemm else "Add (x, c)")
    held = {"w": (6, 5), "c": numbers(6)}
    fires(rule, f'<ir_version: 8, opset_import: ["" : 7]> {text}', held, leaves=[left])
    refuses(rule, f'<ir_version: 8, opset_import: ["" : 6]> {text}', held, reason="opset 7")


@pytest.mark.parametrize(("rule", "first"), [(mul_gemm, "Mul (x, c)"), (add_gemm, "Add (x, c)")])
@pytest.mark.parametrize(
    ("x", "shape", "result", "product", "reason"),
    [
        ("4,6", (4, 1), "4,5", "MatMul (z, w)", "along axis 0"),
        ("N,1", (6,), "N,5", "MatMul (z, w)", "not known to have 6 channels"),
        ("N,K", (6,), "N,5", "MatMul (z, w)", "not known to have 6 channels"),
        ("2,N,6", (6,), "2,N,5", "MatMul (z, w)", "not known to be a matrix"),
        ("6", (1, 6), "1,5", "MatMul (z, w)", "not known to be a matrix"),
        ("6,6", (6,), "6,5", "Gemm <transA = 1> (z, w)", "transposed"),
    ],
)
def test_refuses(rule, first, x, shape, result, product, reason):
    refuses(rule, model(first, product, x, result), {"w": (6, 5), "c": numbers(*shape)}, reason=reason)


def test_refuses_integers():
    given = {"w": np.ones((6, 5), np.int32), "c": np.ones(6, np.int32)}
    refuses(mul_gemm, model("Mul (x, c)", dtype="int32"), given, reason="floating")
    refuses(add_gemm, model("Add (x, c)", dtype="int32"), given, reason="floating")


@pytest.mark.parametrize(("rule", "first"), [(add_gemm, "Add (x, c)"), (mul_gemm, "Mul (x, c)")])
def test_refuses_weights_whose_folding_would_fill_the_memory(rule, first, monkeypatch):
    monkeypatch.setattr(scaling, "LARGEST", 6 * 5 * 4 - 1)
    refuses(rule, model(first), {"w": (6, 5), "c": numbers(6)}, reason="too much memory")


def test_summands_leave_shared_weights_alone_and_factors_refuse_them():
    text = "agraph (float[N,96] x) => (float[N,96] y) {{ z = {} (x, c) a = MatMul (z, w) y = MatMul (a, w) }}"
    given = {"w": (96, 96), "c": numbers(96)}
    refuses(mul_gemm, text.format("Mul"), given, reason="a second copy is large")
    left = fires(add_gemm, text.format("Add"), given, leaves=["Gemm", "MatMul"])
    assert left.graph.nodes[0].inputs[1] is left.graph.nodes[1].inputs[1]


def test_a_factor_that_makes_an_activation_stays():
    body = "d = Div(x, root) e = Erf(d) s = Add(e, one) p = Mul(x, s) h = Mul(p, half) y = MatMul(h, w)"
    numbers = {"root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5), "w": (6, 5)}
    refuses(mul_gemm, f"g (float[N,6] x) => (float[N,5] y) {{ {body} }}", numbers, reason="part of an activation")
