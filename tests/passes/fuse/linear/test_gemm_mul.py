import numpy as np
import pytest

from passes.fuse.linear import gemm_mul
from tests.support import fires, refuses


def model(tail="Mul (z, c)", gemm="Gemm (x, w, b)", inputs="float[N,6] x", result="N,5"):
    return f"agraph ({inputs}) => ({inputs.split('[')[0]}[{result}] y) {{ z = {gemm} y = {tail} }}"


def numbers(*shape):
    return np.random.default_rng(5).uniform(0.5, 2, shape).astype(np.float32)


GEMMS = ["Gemm (x, w)", "Gemm (x, w, b)", "Gemm <alpha = 0.5, beta = 3.0, transB = 1> (x, w, b)"]


@pytest.mark.parametrize("gemm", GEMMS)
@pytest.mark.parametrize("tail", ["Mul (z, c)", "Mul (c, z)", "Div (z, c)"])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (5,), (1, 5)])
def test_one_number_for_each_column(gemm, tail, shape):
    given = {"w": (5, 6) if "transB" in gemm else (6, 5), "c": numbers(*shape)} | ({"b": (5,)} if ", b" in gemm else {})
    fires(gemm_mul, model(tail, gemm), given, leaves=["Gemm"])


def test_one_number_leaves_the_weights_alone():
    text = model(inputs="float[N,6] x, float[6,5] w, float[5] b")
    left = fires(gemm_mul, text, {"c": numbers(1)}, leaves=["Gemm"])
    assert left.graph.nodes[0].attrs["alpha"] == pytest.approx(float(numbers(1)[0]))


def test_refuses_columns_of_weights_computed_at_run_time():
    refuses(
        gemm_mul,
        model(inputs="float[N,6] x, float[6,5] w", gemm="Gemm (x, w)"),
        {"c": numbers(5)},
        reason="not constant",
    )


def test_refuses_rows():
    refuses(
        gemm_mul,
        model(inputs="float[3,6] x", result="3,5"),
        {"w": (6, 5), "b": (5,), "c": numbers(3, 1)},
        reason="axis 0",
    )


def test_refuses_a_bias_that_would_grow():
    text = model(inputs="float[9,6] x", result="9,5")
    refuses(gemm_mul, text, {"w": (6, 5), "b": (9, 1), "c": numbers(5)}, reason="would be larger")


def test_refuses_integers():
    given = {"w": np.ones((6, 5), np.int32), "c": np.full(5, 3, np.int32)}
    refuses(gemm_mul, model(gemm="Gemm (x, w)", inputs="int32[N,6] x"), given, reason="floating")


def test_double_precision_by_a_number_that_an_attribute_holds():
    rng = np.random.default_rng(0)
    given = {"w": rng.standard_normal((6, 5)), "b": rng.standard_normal(5)}
    fires(gemm_mul, model(inputs="double[N,6] x"), given | {"c": np.float64(0.375)}, leaves=["Gemm"])
    refuses(gemm_mul, model(inputs="double[N,6] x"), given | {"c": np.float64(0.1)}, reason="attribute")


def test_refuses_a_copy_of_large_shared_weights():
    text = "agraph (float[N,96] x) => (float[N,96] y) { z = Gemm (x, w) a = Mul (z, c) y = Gemm (a, w) }"
    refuses(gemm_mul, text, {"w": (96, 96), "c": numbers(96)}, reason="a second copy is large")


def test_refuses_division_by_zero():
    refuses(gemm_mul, model("Div (z, c)"), {"w": (6, 5), "b": (5,), "c": np.float32(0)}, reason="zero")


def test_since_opset_7():
    fires(
        gemm_mul,
        '<ir_version: 3, opset_import: ["" : 7]>' + model(),
        {"w": (6, 5), "b": (5,), "c": numbers(5)},
        leaves=["Gemm"],
    )
