"""Products of matrices: factors, transposed operands, sums."""

from __future__ import annotations

import numpy as np
import pytest

from tests.published.checks import leaves, model

PAIR = "float[2, M, K] a, float[2, K, N] b"
RESULT = "float[2, M, N] y"
NUMBERS = {"three": np.float32(3), "third": np.float32(1 / 3)}
FACTORS = {"Mul": 0, "Div": 0, "MatMul": 0, "FusedMatMul": 1}
SCALED = {
    "the left": ("l = Mul(a, three) y = MatMul(l, b)", 3),
    "both": ("l = Mul(a, three) r = Div(b, third) y = MatMul(l, r)", 9),
    "both and the result": ("l = Mul(a, three) r = Div(b, third) p = MatMul(l, r) y = Mul(three, p)", 27),
    "all, and a factor that was there": (
        "l = Mul(a, three) r = Div(b, third) p = com.microsoft.FusedMatMul<alpha = 3.0>(l, r) y = Mul(three, p)",
        81,
    ),
}


def read(body: str) -> dict[str, object]:
    """The constants that a body reads."""
    return {name: number for name, number in NUMBERS.items() if name in body}


@pytest.mark.parametrize("what", SCALED)
def test_a_factor_of(what):
    body, alpha = SCALED[what]
    made = leaves(model(body, PAIR, RESULT), FACTORS, read(body))
    (node,) = made.graph.nodes
    assert node.attrs["alpha"] == pytest.approx(alpha)


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ("l = Div(three, a) y = MatMul(l, b)", {"Div": 1, "MatMul": 1}),
        ("l = Mul(rows, a) y = MatMul(l, b)", {"Mul": 1, "MatMul": 1}),
        ("l = Mul(a, a) y = MatMul(l, b)", {"Mul": 1, "MatMul": 1}),
    ],
)
def test_what_is_no_factor_stays(body, counts):
    rows = {"rows": np.float32([2, 3]).reshape(2, 1, 1)} if "rows" in body else {}
    leaves(model(body, PAIR, RESULT), counts | {"FusedMatMul": 0}, read(body) | rows)


def test_a_factor_that_adds_a_dimension_stays():
    text = model("l = Mul(cube, a) y = MatMul(l, b)", "float[M, K] a, float[1, K, N] b", "float[1, M, N] y")
    leaves(text, {"Mul": 1, "MatMul": 1, "FusedMatMul": 0}, {"cube": np.full((1, 1, 1), 3, np.float32)})


def test_integers_stay():
    text = model("l = Mul(a, three) y = MatMul(l, b)", PAIR.replace("float", "int32"), RESULT.replace("float", "int32"))
    leaves(text, {"Mul": 1, "MatMul": 1, "FusedMatMul": 0}, {"three": np.int32(3)})


def test_a_transposed_operand():
    text = model("t = Transpose<perm = [0, 1, 3, 2]>(a) y = MatMul(t, b)", "float[2, 3, K, M] a, float[2, 3, K, N] b",
                 "float[2, 3, M, N] y")  # fmt: skip
    leaves(text, {"Transpose": 0, "MatMul": 0, "FusedMatMul": 1})


def test_an_operand_that_is_transposed_twice():
    body = "t = Transpose(a) y = com.microsoft.FusedMatMul<alpha = 3.0, transA = 1>(t, b)"
    made = leaves(model(body, "float[M, K] a, float[K, N] b", "float[M, N] y"), {"Transpose": 0, "FusedMatMul": 1})
    (node,) = made.graph.nodes
    assert not node.attrs.get("transA", 0)


def test_other_axes_stay():
    text = model("t = Transpose(a) y = MatMul(t, b)", "float[K, M, 3, 2] a, float[2, 3, K, N] b", "float[2, 3, M, N] y")
    leaves(text, {"Transpose": 1, "MatMul": 1, "FusedMatMul": 0})


def test_an_operand_that_is_needed_transposed_too():
    text = model("t = Transpose(a) y = MatMul(t, b) z = Identity(t)", "float[K, M] a, float[K, N] b",
                 "float[M, N] y, float[M, K] z")  # fmt: skip
    leaves(text, {"Transpose": 1, "Identity": 0})


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_stay_transposed(dtype):
    text = model("t = Transpose<perm = [0, 1, 3, 2]>(a) y = MatMul(t, b)",
                 f"{dtype}[2, 3, K, M] a, {dtype}[2, 3, K, N] b", f"{dtype}[2, 3, M, N] y")  # fmt: skip
    leaves(text, {"Transpose": 1, "MatMul": 1, "FusedMatMul": 0})


GEMM = {
    "both operands": "t = Transpose(a) s = Transpose(b) y = Gemm<alpha = 3.0, transA = 1>(t, s)",
    "the result": "p = Gemm<alpha = 3.0, transB = 1>(b, a) y = Transpose(p)",
    "an operand and the result": "t = Transpose(b) p = Gemm<alpha = 3.0, transA = 1, transB = 1>(t, a)"
    " y = Transpose(p)",
}


@pytest.mark.parametrize("what", GEMM)
def test_gemm_transposed(what):
    made = leaves(model(GEMM[what], "float[M, K] a, float[N, K] b", "float[M, N] y"), {"Transpose": 0, "Gemm": 1})
    assert made.graph.nodes[0].attrs["alpha"] == 3


@pytest.mark.parametrize("shape", ["M, N", "1, N"])
def test_gemm_and_a_summand(shape):
    text = model("p = Gemm(a, b) y = Sum(p, c)", f"float[M, K] a, float[K, N] b, float[{shape}] c", "float[M, N] y")
    leaves(text, {"Gemm": 1, "Sum": 0, "Add": 0})


def test_gemm_with_attributes_and_a_summand():
    text = model("p = Gemm<alpha = 3.5, beta = 6.25, transB = 1>(a, b) y = Sum(p, c)",
                 "float[M, K] a, float[N, K] b, float[M, N] c", "float[M, N] y")  # fmt: skip
    leaves(text, {"Gemm": 1, "Sum": 0, "Add": 0})


def test_gemm_with_a_summand_keeps_the_second():
    text = model("p = Gemm(a, b, c) y = Sum(p, d)", "float[M, K] a, float[K, N] b, float[M, N] c, float[M, N] d",
                 "float[M, N] y")  # fmt: skip
    made = leaves(text, {"Gemm": 1})
    assert len(made.graph.nodes) == 2


def test_gemm_and_a_summand_with_more_dimensions():
    text = model("p = Gemm(a, b) y = Sum(p, c)", "float[M, K] a, float[K, N] b, float[1, M, N] c", "float[1, M, N] y")
    made = leaves(text, {})
    assert len(made.graph.nodes) == 2


def test_a_product_and_a_bias():
    text = model("p = MatMul(a, w) y = Add(p, c)", "float[M, 8] a", "float[M, 4] y")
    leaves(text, {"Gemm": 1, "MatMul": 0, "Add": 0}, {"w": (8, 4), "c": (4,)})
