import numpy as np
import pytest

from passes.fuse.linear import reshaped_gemm
from tests.support import fires, refuses


def model(gemm="Gemm (f, w, b)", x="B,T,6", result="B,T,5", flat="Reshape (x, rows)"):
    return f"agraph (float[{x}] x) => (float[{result}] y) {{ f = {flat} g = {gemm} y = Reshape (g, stack) }}"


ROWS = {"rows": np.array([-1, 6]), "w": (6, 5), "b": (5,)}


def stack(*shape):
    return {"stack": np.array(shape)}


@pytest.mark.parametrize("gemm", ["Gemm (f, w, b)", "Gemm <alpha = 1.0, beta = 1.0, transA = 0> (f, w, b)"])
def test_a_stack_of_matrices(gemm):
    fires(reshaped_gemm, model(gemm, "2,3,6", "2,3,5"), ROWS | stack(2, 3, 5), leaves=["MatMul", "Add"])


def test_free_dimensions():
    fires(reshaped_gemm, model(x="B,3,6", result="B,3,5"), ROWS | stack(-1, 3, 5), leaves=["MatMul", "Add"])


def test_flatten_and_more_dimensions():
    text = model(x="2,3,4,6", result="2,3,4,5", flat="Flatten <axis = 3> (x)")
    given = {k: v for k, v in ROWS.items() if k != "rows"} | stack(2, 3, 4, 5)
    fires(reshaped_gemm, text, given, leaves=["MatMul", "Add"])


@pytest.mark.parametrize("bias", [(), (1,), (1, 5), (1, 1)])
def test_biases(bias):
    given = ROWS | stack(2, 3, 5) | {"b": np.random.default_rng(0).standard_normal(bias).astype(np.float32)}
    fires(reshaped_gemm, model(x="2,3,6", result="2,3,5"), given, leaves=["MatMul", "Add"])


def test_without_a_bias():
    given = {k: v for k, v in ROWS.items() if k != "b"} | stack(2, 3, 5)
    fires(reshaped_gemm, model("Gemm (f, w)", "2,3,6", "2,3,5"), given, leaves=["MatMul"])


def test_weights_computed_at_run_time():
    text = """agraph (float[2,3,6] x, float[6,5] w) => (float[2,3,5] y) {
      f = Reshape (x, rows)
      g = Gemm (f, w)
      y = Reshape (g, stack)
    }"""
    fires(reshaped_gemm, text, {"rows": ROWS["rows"]} | stack(2, 3, 5), leaves=["MatMul"])


@pytest.mark.parametrize(
    ("x", "result", "given", "reason"),
    [
        ("2,3,6", "3,2,5", stack(3, 2, 5), "rows of the input"),
        ("2,3,6", "2,15", stack(2, 15), "rows of the input"),
        ("2,3,6", "6,5", stack(6, 5), "rows of the input"),
        ("2,2,3,2", "2,2,1,5", stack(2, 2, 1, 5), "rows of the input"),
        ("N,6", "N,5", stack(-1, 5), "stack of matrices"),
        ("2,3,6", "2,3,5", stack(2, 3, 5) | {"b": (6, 1)}, "differs between rows"),
        ("2,3,6", "2,3,5", stack(2, 3, 5) | {"b": (6, 5)}, "differs between rows"),
    ],
)
def test_refuses(x, result, given, reason):
    refuses(reshaped_gemm, model(x=x, result=result), ROWS | given, reason=reason)


@pytest.mark.parametrize("attrs", ["alpha = 0.5", "beta = 2.0"])
def test_refuses_factors(attrs):
    refuses(reshaped_gemm, model(f"Gemm <{attrs}> (f, w, b)", "2,3,6", "2,3,5"), ROWS | stack(2, 3, 5))


def test_refuses_transposed_weights():
    text = model("Gemm <transB = 1> (f, w, b)", "2,3,6", "2,3,5")
    refuses(reshaped_gemm, text, ROWS | stack(2, 3, 5) | {"w": (5, 6)}, reason="transposes")


def test_refuses_a_graph_output_between():
    text = model(x="2,3,6", result="2,3,5").replace("y) {", "y, float[6,5] g) {")
    refuses(reshaped_gemm, text, ROWS | stack(2, 3, 5))


def test_since_opset_7():
    text = '<ir_version: 3, opset_import: ["" : 7]>' + model(x="2,3,6", result="2,3,5")
    fires(reshaped_gemm, text, ROWS | stack(2, 3, 5), leaves=["MatMul", "Add"])
