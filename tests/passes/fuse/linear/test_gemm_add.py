import numpy as np
import pytest

from passes.fuse.linear import gemm_add
from tests.support import fires, refuses


def model(tail="Add (z, c)", gemm="Gemm (x, w, b)", inputs="float[N,6] x", result="N,5"):
    return f"agraph ({inputs}) => ({inputs.split('[')[0]}[{result}] y) {{ z = {gemm} y = {tail} }}"


@pytest.mark.parametrize("tail", ["Add (z, c)", "Add (c, z)", "Sub (z, c)"])
@pytest.mark.parametrize("shape", [(1,), (5,), (1, 5), (1, 1)])
@pytest.mark.parametrize(
    "gemm", ["Gemm (x, w)", "Gemm (x, w, b)", "Gemm <alpha = 0.5, beta = 3.0> (x, w, b)", "Gemm <beta = 3.0> (x, w)"]
)
def test_constants(tail, shape, gemm):
    given = {"w": (6, 5), "c": shape} | ({"b": (5,)} if ", b" in gemm else {})
    fires(gemm_add, model(tail, gemm), given, leaves=["Gemm"])


def test_transposed_operands():
    fires(
        gemm_add,
        model(gemm="Gemm <transA = 1, transB = 1> (x, w)", inputs="float[6,N] x"),
        {"w": (5, 6), "c": (5,)},
        leaves=["Gemm"],
    )


@pytest.mark.parametrize("c", ["float[N,5] c", "float[N,1] c", "float[5] c"])
def test_a_summand_computed_at_run_time_needs_a_free_place(c):
    inputs = f"float[N,6] x, {c}"
    fires(gemm_add, model(gemm="Gemm <beta = 2.0> (x, w)", inputs=inputs), {"w": (6, 5)}, leaves=["Gemm"])
    refuses(gemm_add, model(inputs=inputs), {"w": (6, 5), "b": (5,)})


def test_refuses_a_bias_computed_at_run_time():
    refuses(gemm_add, model(inputs="float[N,6] x, float[5] b"), {"w": (6, 5), "c": (5,)})


def test_refuses_a_combined_constant_that_is_larger():
    text = model(inputs="float[3,6] x", result="3,5")
    refuses(gemm_add, text, {"w": (6, 5), "b": (5,), "c": (3, 1)}, reason="would be larger")


@pytest.mark.parametrize(("shape", "result"), [((3, 5), "3,5"), ((1, 1, 5), "1,N,5")])
def test_refuses_summands_that_may_enlarge_the_product(shape, result):
    refuses(gemm_add, model(result=result), {"w": (6, 5), "b": (5,), "c": shape}, reason="summand")


def test_refuses_a_single_column_that_the_summand_widens():
    refuses(gemm_add, model(gemm="Gemm (x, w)"), {"w": (6, 1), "c": (5,)}, reason="summand")


def test_refuses_integers():
    given = {"w": np.ones((6, 5), np.int32), "c": np.ones(5, np.int32)}
    refuses(gemm_add, model(gemm="Gemm (x, w)", inputs="int32[N,6] x"), given, reason="floating")


def test_double_precision():
    rng = np.random.default_rng(0)
    given = {"w": rng.standard_normal((6, 5)), "b": rng.standard_normal(5), "c": rng.standard_normal(5)}
    fires(gemm_add, model(inputs="double[N,6] x"), given, leaves=["Gemm"])


def test_since_opset_7():
    fires(
        gemm_add,
        '<ir_version: 3, opset_import: ["" : 7]>' + model(),
        {"w": (6, 5), "b": (5,), "c": (5,)},
        leaves=["Gemm"],
    )
