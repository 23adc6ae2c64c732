import numpy as np
import pytest

from passes.fuse.linear import matmul_mul, scaling
from tests.support import fires, refuses


def model(tail="Mul (z, c)", x="float[N,3,6] x", result="N,3,5"):
    return f"agraph ({x}) => ({x.split('[')[0]}[{result}] y) {{ z = MatMul (x, w) y = {tail} }}"


def numbers(*shape):
    return np.random.default_rng(5).uniform(0.5, 2, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (1, 5), (1, 1, 5), (1, 1, 1)])
@pytest.mark.parametrize("tail", ["Mul (z, c)", "Mul (c, z)", "Div (z, c)"])
def test_one_number_for_each_column(tail, shape):
    fires(matmul_mul, model(tail), {"w": (6, 5), "c": numbers(*shape)}, leaves=["MatMul"])


@pytest.mark.parametrize(
    ("x", "w", "result"), [("N,6", (6, 5), "N,5"), ("6", (6, 5), "5"), ("N,3,6", (1, 6, 5), "N,3,5")]
)
def test_ranks(x, w, result):
    fires(matmul_mul, model(x=f"float[{x}] x", result=result), {"w": w, "c": numbers(5)}, leaves=["MatMul"])


@pytest.mark.parametrize(
    ("shape", "result", "reason"),
    [
        ((3, 1), "N,3,5", "along axis 1"),
        ((3, 5), "N,3,5", "along axis 1"),
        ((2, 1, 1), "2,3,5", "along axis 0"),
        ((1, 1, 1, 1), "1,N,3,5", "more dimensions"),
    ],
)
def test_refuses_other_constants(shape, result, reason):
    refuses(matmul_mul, model(result=result), {"w": (6, 5), "c": numbers(*shape)}, reason=reason)


def test_refuses_a_constant_that_makes_more_columns():
    refuses(matmul_mul, model(), {"w": (6, 1), "c": numbers(5)}, reason="has 5 channels, not 1")


def test_refuses_a_vector_of_weights():
    text = model(x="float[N,5,6] x", result="N,5")
    refuses(matmul_mul, text, {"w": (6,), "c": numbers(5)}, reason="a vector")


def test_refuses_integers():
    given = {"w": np.ones((6, 5), np.int32), "c": np.full(5, 3, np.int32)}
    refuses(matmul_mul, model("Div (z, c)", x="int32[N,3,6] x"), given, reason="floating")


def test_refuses_weights_computed_at_run_time():
    text = "agraph (float[N,6] x, float[6,5] w) => (float[N,5] y) { z = MatMul (x, w) y = Mul (z, c) }"
    refuses(matmul_mul, text, {"c": numbers(5)})


def test_refuses_a_copy_of_large_shared_weights():
    text = "agraph (float[N,96] x) => (float[N,96] y) { z = MatMul (x, w) a = Mul (z, c) y = MatMul (a, w) }"
    refuses(matmul_mul, text, {"w": (96, 96), "c": numbers(96)}, reason="a second copy is large")


def test_refuses_division_by_zero():
    refuses(matmul_mul, model("Div (z, c)"), {"w": (6, 5), "c": np.zeros(5, np.float32)}, reason="zero")


def test_refuses_weights_whose_folding_would_fill_the_memory(monkeypatch):
    monkeypatch.setattr(scaling, "LARGEST", 6 * 5 * 4 - 1)
    refuses(matmul_mul, model(), {"w": (6, 5), "c": numbers(5)}, reason="too much memory")
    monkeypatch.setattr(scaling, "LARGEST", 6 * 5 * 4)
    fires(matmul_mul, model(), {"w": (6, 5), "c": numbers(5)}, leaves=["MatMul"])


def test_since_opset_7():
    fires(
        matmul_mul,
        '<ir_version: 3, opset_import: ["" : 7]>' + model(),
        {"w": (6, 5), "c": numbers(5)},
        leaves=["MatMul"],
    )
