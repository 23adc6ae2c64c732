import numpy as np
import pytest

from passes.fuse.linear import gemm_transpose, transpose_gemm, transpose_matmul
from tests.support import fires, refuses

SWAP = "Transpose <perm = [1,0]>"


def model(body, inputs="float[{a}] a, float[{b}] b, float[{c}] c", a="N,6", b="6,M", c="N,M", result="N,M"):
    return f"agraph ({inputs.format(a=a, b=b, c=c)}) => (float[{result}] y) {{ {body} }}"


@pytest.mark.parametrize("swap", [SWAP, "Transpose"])
@pytest.mark.parametrize("flag", [0, 1])
def test_gemm_of_a_transposed_operand(swap, flag):
    a = "N,6" if flag else "6,N"
    text = model(f"t = {swap} (a) y = Gemm <transA = {flag}, alpha = 0.5, beta = 2.0> (t, b, c)", a=a)
    left = fires(transpose_gemm, text, leaves=["Gemm"])
    assert left.graph.nodes[0].attrs["transA"] == 1 - flag
    b = "6,M" if flag else "M,6"
    fires(transpose_gemm, model(f"t = {swap} (b) y = Gemm <transB = {flag}> (a, t, c)", b=b), leaves=["Gemm"])


def test_gemm_of_two_transposed_operands():
    text = model("t = Transpose (a) u = Transpose (b) y = Gemm (t, u)", "float[{a}] a, float[{b}] b", a="6,N", b="M,6")
    fires(transpose_gemm, text, leaves=["Gemm"])


def test_a_matrix_times_its_own_transpose():
    text = model("t = Transpose (a) y = Gemm (a, t)", "float[{a}] a", result="N,N")
    fires(transpose_gemm, text, leaves=["Gemm"])
    text = model("t = Transpose (a) y = MatMul (a, t)", "float[{a}] a", result="N,N")
    fires(transpose_matmul, text, leaves=["Gemm"])


def test_refuses_a_transpose_with_another_reader():
    text = model("t = Transpose (a) z = Gemm (t, b, c) u = Relu (t) v = MatMul (u, b) y = Add (z, v)", a="6,N")
    refuses(transpose_gemm, text)


def test_refuses_a_transpose_that_does_nothing():
    refuses(transpose_gemm, model("t = Transpose <perm = [0,1]> (a) y = Gemm (t, b, c)"), reason="where they are")
    text = model("t = Transpose <perm = [0,1]> (a) y = MatMul (t, b)", "float[{a}] a, float[{b}] b")
    refuses(transpose_matmul, text, reason="where they are")
    text = model("p = MatMul (a, b) y = Transpose <perm = [0,1]> (p)", "float[{a}] a, float[{b}] b")
    refuses(gemm_transpose, text, reason="where they are")


@pytest.mark.parametrize(
    ("body", "a", "b"),
    [
        ("t = Transpose (a) y = MatMul (t, b)", "6,N", "6,M"),
        ("t = Transpose (b) y = MatMul (a, t)", "N,6", "M,6"),
        ("t = Transpose (a) u = Transpose (b) y = MatMul (t, u)", "6,N", "M,6"),
    ],
)
def test_product_of_a_transposed_matrix(body, a, b):
    rules = f"fuse:only={transpose_matmul.name}+{transpose_gemm.name}"
    fires(rules, model(body, "float[{a}] a, float[{b}] b", a, b), leaves=["Gemm"])


@pytest.mark.parametrize(
    ("a", "b", "result"),
    [("N,6,4", "N,6,M", "N,4,M"), ("6,4", "N,6,M", "N,4,M"), ("6,4", "6", "4"), ("A,B,C", "6,M", "X,Y,M")],
)
def test_refuses_other_ranks(a, b, result):
    perm = "0,2,1" if a.count(",") == 2 else "1,0"
    text = model(
        f"t = Transpose <perm = [{perm}]> (a) y = MatMul (t, b)", "float[{a}] a, float[{b}] b", a, b, result=result
    )
    refuses(transpose_matmul, text, reason="not known to be a matrix")


def test_refuses_integers():
    text = "agraph (int32[6,N] a, int32[6,M] b) => (int32[N,M] y) { t = Transpose (a) y = MatMul (t, b) }"
    refuses(transpose_matmul, text, reason="floating")


def test_refuses_an_opset_whose_gemm_needs_a_summand():
    text = '<ir_version: 5, opset_import: ["" : 10]>\n' + model(
        "t = Transpose (a) y = MatMul (t, b)", "float[{a}] a, float[{b}] b", "6,N"
    )
    refuses(transpose_matmul, text, reason="opset 11")


@pytest.mark.parametrize(
    ("body", "a", "b"),
    [
        ("z = MatMul (a, b) y = Transpose (z)", "N,6", "6,M"),
        ("z = Gemm (a, b) y = Transpose <perm = [1,0]> (z)", "N,6", "6,M"),
        ("z = Gemm <transA = 1, alpha = 0.5> (a, b) y = Transpose (z)", "6,N", "6,M"),
        ("z = Gemm <transB = 1> (a, b) y = Transpose (z)", "N,6", "M,6"),
    ],
)
def test_transposed_product(body, a, b):
    fires(gemm_transpose, model(body, "float[{a}] a, float[{b}] b", a, b, result="M,N"), leaves=["Gemm"])


@pytest.mark.parametrize("shape", [(), (1,), (5,), (1, 5), (4, 1), (4, 5)])
def test_transposed_product_with_a_constant_summand(shape):
    text = model(
        "z = Gemm <beta = 0.5> (a, b, c) y = Transpose (z)", "float[{a}] a, float[{b}] b", "4,6", "6,5", result="5,4"
    )
    given = {"c": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    fires(gemm_transpose, text, given, leaves=["Gemm"])


def test_refuses_a_summand_computed_at_run_time():
    refuses(gemm_transpose, model("z = Gemm (a, b, c) y = Transpose (z)", result="M,N"))


def test_refuses_a_transposed_stack_of_matrices():
    text = model(
        "z = MatMul (a, b) y = Transpose <perm = [0,2,1]> (z)",
        "float[{a}] a, float[{b}] b",
        "N,4,6",
        "6,M",
        result="N,M,4",
    )
    refuses(gemm_transpose, text, reason="not known to be a matrix")


@pytest.mark.parametrize(
    ("rule", "body", "opset", "a"),
    [
        (transpose_gemm, "t = Transpose (a) y = Gemm (t, b, c)", 7, "6,N"),
        (transpose_matmul, "t = Transpose (a) y = MatMul (t, b)", 11, "6,N"),
        (gemm_transpose, "z = MatMul (a, b) y = Transpose (z)", 11, "N,6"),
    ],
)
def test_first_opsets(rule, body, opset, a):
    inputs = "float[{a}] a, float[{b}] b" + (", float[{c}] c" if ", c)" in body else "")
    text = model(body, inputs, a, result="M,N" if rule is gemm_transpose else "N,M")
    fires(rule, f'<ir_version: 3, opset_import: ["" : {opset}]>' + text, leaves=["Gemm"])
