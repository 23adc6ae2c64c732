import numpy as np
import pytest

from passes.fuse.linear import matmul_add
from tests.support import fires, refuses


def model(c="", result="N,5", x="float[N,6] x", tail="Add (z, c)"):
    return f"agraph ({x}{c}) => ({x.split('[')[0]}[{result}] y) {{ z = MatMul (x, w) y = {tail} }}"


@pytest.mark.parametrize("shape", [(), (1,), (5,), (1, 5), (1, 1)])
@pytest.mark.parametrize("tail", ["Add (z, c)", "Add (c, z)"])
def test_constant_summands(tail, shape):
    fires(matmul_add, model(tail=tail), {"w": (6, 5), "c": np.float32(2) if shape == () else shape}, leaves=["Gemm"])


@pytest.mark.parametrize("c", ["float[N,5] c", "float[N,1] c", "float[1,5] c", "float[5] c"])
def test_summands_computed_at_run_time(c):
    fires(matmul_add, model(", " + c), {"w": (6, 5)}, leaves=["Gemm"])


def test_both_operands_computed_at_run_time():
    text = "agraph (float[N,6] x, float[6,M] w, float[M] c) => (float[N,M] y) { z = MatMul (x, w) y = Add (z, c) }"
    fires(matmul_add, text, leaves=["Gemm"])


def test_a_column_of_known_height():
    fires(matmul_add, model(result="3,5", x="float[3,6] x"), {"w": (6, 5), "c": (3, 1)}, leaves=["Gemm"])


@pytest.mark.parametrize(("dtype", "numbers"), [("float16", np.float16), ("double", np.float64)])
def test_other_types(dtype, numbers):
    rng = np.random.default_rng(0)
    given = {"w": rng.standard_normal((6, 5)).astype(numbers), "c": rng.standard_normal(5).astype(numbers)}
    fires(matmul_add, model(x=f"{dtype}[N,6] x"), given, leaves=["Gemm"])


@pytest.mark.parametrize(
    ("c", "result"),
    [
        ("float[M,5] c", "A,5"),
        ("float[3,5] c", "3,5"),
        ("float[2,N,5] c", "2,N,5"),
        ("float[1,1,5] c", "1,N,5"),
        ("float[N,K] c", "N,A"),
    ],
)
def test_refuses_summands_that_may_enlarge_the_product(c, result):
    refuses(matmul_add, model(", " + c, result), {"w": (6, 5)}, reason="summand")


def test_refuses_a_single_column_that_the_summand_widens():
    refuses(matmul_add, model(), {"w": (6, 1), "c": (5,)}, reason="not known to broadcast")


def test_refuses_a_single_row_that_the_summand_multiplies():
    refuses(
        matmul_add, model(x="float[1,6] x", result="4,5"), {"w": (6, 5), "c": (4, 5)}, reason="not known to broadcast"
    )


@pytest.mark.parametrize("x", ["float[2,N,6] x", "float[6] x"])
def test_refuses_other_ranks(x):
    result = "2,N,5" if "2" in x else "5"
    refuses(matmul_add, model(x=x, result=result), {"w": (6, 5), "c": (5,)}, reason="not known to be a matrix")


def test_refuses_integers():
    given = {"w": np.ones((6, 5), np.int32), "c": np.ones(5, np.int32)}
    refuses(matmul_add, model(x="int32[N,6] x"), given, reason="not known to be floating")


def test_refuses_an_old_opset():
    text = '<ir_version: 3, opset_import: ["" : 6]>\n' + model(tail="Add <broadcast = 1> (z, c)")
    refuses(matmul_add, text, {"w": (6, 5), "c": (5,)}, reason="opset 7")


def test_refuses_a_graph_output_between():
    text = "agraph (float[N,6] x) => (float[N,5] y, float[N,5] z) { z = MatMul (x, w) y = Add (z, c) }"
    refuses(matmul_add, text, {"w": (6, 5), "c": (5,)})


def test_products_on_both_sides():
    text = """agraph (float[N,6] x, float[N,4] u) => (float[N,5] y) {
      a = MatMul (x, w)
      b = MatMul (u, v)
      y = Add (a, b)
    }"""
    fires(matmul_add, text, {"w": (6, 5), "v": (4, 5)}, leaves=["MatMul", "Gemm"])


def test_since_opset_7():
    fires(matmul_add, '<ir_version: 3, opset_import: ["" : 7]>' + model(), {"w": (6, 5), "c": (1, 5)}, leaves=["Gemm"])
