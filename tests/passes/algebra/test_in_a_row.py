import numpy as np
import pytest

from passes.algebra import conv_conv, gemm_gemm, matmul_matmul, parallel_gemm, parallel_matmul
from tests.support import fires, refuses


def convs(first, second, x="float[N,6,9,8]", y="float[N,A,B,C]"):
    return f"g ({x} x) => ({y} y) {{ a = {first} y = {second} }}"


def test_two_of_single_pixels():
    model = fires(
        conv_conv,
        convs("Conv (x, w, b)", "Conv (a, v, c)"),
        {"w": (8, 6, 1, 1), "b": (8,), "v": (4, 8, 1, 1), "c": (4,)},
        leaves=["Conv"],
    )
    assert model.graph.nodes[0].inputs[1].shape == (4, 6, 1, 1)


@pytest.mark.parametrize("attrs", ["pads = [1,1,1,1]", "strides = [2,2], pads = [1,0,1,2]", "dilations = [2,2]"])
def test_a_large_kernel_then_pixels(attrs):
    text = convs(f"Conv <{attrs}> (x, w, b)", "Conv <strides = [2,2]> (a, v, c)")
    fires(conv_conv, text, {"w": (8, 6, 3, 3), "b": (8,), "v": (4, 8, 1, 1), "c": (4,)}, leaves=["Conv"])


def test_pixels_then_a_large_kernel():
    text = convs("Conv (x, w)", "Conv <pads = [1,1,1,1], strides = [2,2]> (a, v, c)")
    fires(conv_conv, text, {"w": (8, 6, 1, 1), "v": (4, 8, 3, 3), "c": (4,)}, leaves=["Conv"])


def test_a_bias_before_a_kernel_that_does_not_pad():
    text = convs("Conv (x, w, b)", "Conv (a, v)")
    fires(conv_conv, text, {"w": (8, 6, 1, 1), "b": (8,), "v": (4, 8, 3, 3)}, leaves=["Conv"])


def test_pixels_in_groups():
    text = convs("Conv <group = 2> (x, w, b)", "Conv (a, v)")
    fires(conv_conv, text, {"w": (8, 3, 1, 1), "b": (8,), "v": (4, 8, 1, 1)}, leaves=["Conv"])


def test_pixels_and_groups():
    text = convs("Conv (x, w, b)", "Conv <group = 2> (a, v)", x="float[N,3,9,8]")
    fires(conv_conv, text, {"w": (8, 3, 1, 1), "b": (8,), "v": (8, 4, 3, 3)}, leaves=["Conv"])


def test_as_many_multiplications_as_before():
    fires(conv_conv, convs("Conv (x, w)", "Conv (a, v)"), {"w": (3, 6, 1, 1), "v": (6, 3, 1, 1)}, leaves=["Conv"])


@pytest.mark.parametrize(
    ("first", "second", "shapes", "reason"),
    [
        (
            "Conv (x, w, b)",
            "Conv <pads = [1,1,1,1]> (a, v)",
            {"w": (8, 6, 1, 1), "b": (8,), "v": (4, 8, 3, 3)},
            "shifted",
        ),
        ("Conv (x, w)", "Conv (a, v)", {"w": (2, 6, 1, 1), "v": (8, 2, 1, 1)}, "more multiplications"),
        ("Conv <group = 6> (x, w)", "Conv (a, v)", {"w": (6, 1, 3, 3), "v": (4, 6, 1, 1)}, "more multiplications"),
        ("Conv (x, w)", "Conv (a, v)", {"w": (6, 6, 3, 3), "v": (4, 6, 3, 3)}, "single pixels"),
        ("Conv <strides = [2,2]> (x, w)", "Conv (a, v)", {"w": (8, 6, 1, 1), "v": (4, 8, 3, 3)}, "leaves out pixels"),
        ("Conv <pads = [1,1,1,1]> (x, w)", "Conv (a, v)", {"w": (8, 6, 1, 1), "v": (4, 8, 3, 3)}, "single pixels"),
    ],
    ids=["bias and padding", "bottleneck", "separable", "large", "strides", "padded pixels"],
)
def test_convolutions_that_stay(first, second, shapes, reason):
    refuses(conv_conv, convs(first, second), shapes, reason=reason)


def test_matrices():
    text = "g (float[N,S,6] x) => (float[N,S,4] y) { a = MatMul (x, w) y = MatMul (a, v) }"
    fires(matmul_matmul, text, {"w": (6, 8), "v": (8, 4)}, leaves=["MatMul"])


@pytest.mark.parametrize("opset", [7, 21])
def test_as_many_products_as_before(opset):
    text = f"""<ir_version: 3, opset_import: ["" : {opset}]> g (float[N,6] x) => (float[N,6] y) {{
        a = MatMul (x, w) y = MatMul (a, v) }}"""
    fires(matmul_matmul, text, {"w": (6, 3), "v": (3, 6)}, leaves=["MatMul"])


def test_refuses_vectors():
    text = "g (float[6] x) => (float[4] y) { a = MatMul (x, w) y = MatMul (a, v) }"
    refuses(matmul_matmul, text, {"w": (6, 8), "v": (8, 4)}, reason="x is not known to be a matrix")


def test_refuses_a_summand_with_more_dimensions():
    text = "g (float[N,6] x) => (float[1,N,4] y) { a = MatMul (x, w) b = Add (a, c) y = MatMul (b, v) }"
    refuses(matmul_matmul, text, {"w": (6, 8), "v": (8, 4), "c": (1, 1, 8)}, reason="may have more dimensions")


@pytest.mark.parametrize("shape", [(8,), (1, 8), (1, 1, 8)])
def test_matrices_with_a_summand_between(shape):
    text = "g (float[N,S,6] x) => (float[N,S,4] y) { a = MatMul (x, w) b = Add (a, c) y = MatMul (b, v) }"
    fires(matmul_matmul, text, {"w": (6, 8), "v": (8, 4), "c": shape}, leaves=["MatMul", "Add"])


def test_refuses_factors_of_low_rank():
    text = "g (float[N,S,6] x) => (float[N,S,8] y) { a = MatMul (x, w) y = MatMul (a, v) }"
    refuses(matmul_matmul, text, {"w": (6, 2), "v": (2, 8)}, reason="more multiplications")


@pytest.mark.parametrize(
    ("dtype", "first", "second"),
    [("float", (6,), (6, 4)), ("float", (2, 6, 8), (8, 4)), ("float", (6, 8), (8,)), ("int32", (6, 8), (8, 4))],
)
def test_refuses_what_is_no_matrix_of_numbers(dtype, first, second):
    text = f"g ({dtype}[2,3,6] x) => (y) {{ a = MatMul (x, w) y = MatMul (a, v) }}"
    text = text.replace("a = MatMul (x, w)", "k = Unsqueeze (x, one) a = MatMul (k, w)") if first == (6,) else text
    weights = {"w": np.ones(first, dtype.replace("float", "f4")), "v": np.ones(second, dtype.replace("float", "f4"))}
    refuses(matmul_matmul, text, weights | {"one": np.array([1])}, reason="is no matrix of numbers")


@pytest.mark.parametrize("shape", [(3, 8), (3, 1), (1,)])
def test_refuses_a_summand_that_differs_between_rows(shape):
    text = "g (float[N,3,6] x) => (float[N,3,4] y) { a = MatMul (x, w) b = Add (a, c) y = MatMul (b, v) }"
    refuses(matmul_matmul, text, {"w": (6, 8), "v": (8, 4), "c": shape}, reason="between rows")


def test_refuses_a_product_that_others_read():
    text = "g (float[N,6] x) => (float[N,4] y, float[N,8] a) { a = MatMul (x, w) y = MatMul (a, v) }"
    refuses(matmul_matmul, text, {"w": (6, 8), "v": (8, 4)})


def test_an_adapter_of_low_rank():
    text = """g (float[N,S,6] x) => (float[N,S,8] y) {
        a = MatMul (x, w) l = MatMul (x, p) h = MatMul (l, q) y = Add (a, h) }"""
    fires(parallel_matmul, text, {"w": (6, 8), "p": (6, 2), "q": (2, 8)}, leaves=["MatMul"])


def test_an_adapter_after_the_bias():
    text = """g (float[N,S,6] x) => (float[N,S,8] y) {
        a = MatMul (x, w) s = Add (a, b) l = MatMul (x, p) h = MatMul (l, q) y = Add (s, h) }"""
    fires(parallel_matmul, text, {"w": (6, 8), "b": (8,), "p": (6, 2), "q": (2, 8)}, leaves=["MatMul", "Add"])


@pytest.mark.parametrize("opset", [7, 21])
def test_two_matrices_beside_each_other(opset):
    text = f'<ir_version: 3, opset_import: ["" : {opset}]>'
    text += "g (float[N,S,6] x) => (float[N,S,8] y) { a = MatMul (x, w) b = MatMul (x, v) y = Add (a, b) }"
    fires(parallel_matmul, text, {"w": (6, 8), "v": (6, 8)}, leaves=["MatMul"])


def test_refuses_matrices_of_different_shapes():
    text = "g (float[N,S,6] x) => (float[N,S,8] y) { a = MatMul (x, w) b = MatMul (x, v) y = Add (a, b) }"
    refuses(parallel_matmul, text, {"w": (6, 8), "v": (6, 1)}, reason="differ in shape")


GEMM = "g (float[N,6] x) => (float[N,4] y) {{ a = Gemm <{}> (x, w{}) y = Gemm <{}> (a, v{}) }}"


@pytest.mark.parametrize("biases", [("", ""), (", b", ""), ("", ", c"), (", b", ", c")])
def test_gemm_after_gemm(biases):
    text = GEMM.format("alpha = 0.5, transB = 1", biases[0], "beta = 2.0", biases[1])
    held = {"w": (8, 6), "v": (8, 4)} | ({"b": (8,)} if biases[0] else {}) | ({"c": (1, 4)} if biases[1] else {})
    fires(gemm_gemm, text, held, leaves=["Gemm"])


def test_gemm_with_a_number_as_bias():
    fires(
        gemm_gemm,
        GEMM.format("beta = 1.0", ", b", "alpha = 1.0", ", c"),
        {"w": (6, 8), "v": (8, 4), "b": np.float32(2), "c": np.float32(3)},
        leaves=["Gemm"],
    )


def test_refuses_gemm_of_integers():
    text = GEMM.format("beta = 1.0", "", "alpha = 1.0", "").replace("float", "int32")
    refuses(gemm_gemm, text, {"w": np.ones((6, 8), np.int32), "v": np.ones((8, 4), np.int32)}, reason="floating")


def test_refuses_gemm_of_low_rank():
    refuses(
        gemm_gemm,
        GEMM.format("beta = 1.0", "", "alpha = 1.0", ""),
        {"w": (6, 1), "v": (1, 4)},
        reason="more multiplications",
    )


def test_refuses_gemm_of_a_transposed_operand():
    text = "g (float[6,N] x) => (float[N,4] y) { a = Gemm <transA = 1> (x, w) y = Gemm (a, v) }"
    refuses(gemm_gemm, text, {"w": (6, 8), "v": (8, 4)}, reason="transposed")


def test_refuses_gemm_with_a_summand_for_each_row():
    text = GEMM.format("beta = 1.0", ", b", "alpha = 1.0", "").replace("N", "3")
    refuses(gemm_gemm, text, {"w": (6, 8), "v": (8, 4), "b": (3, 1)}, reason="differs between rows")


LARGE = "g (float[N,96] x) => (float[N,96] y) {{ a = {} b = {} t = {} y = {} }}"


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        (gemm_gemm, ("Gemm (x, w)", "Gemm (a, v)", "Relu (b)", "Gemm (t, v)")),
        (matmul_matmul, ("MatMul (x, w)", "MatMul (a, v)", "Relu (b)", "MatMul (t, v)")),
        (parallel_matmul, ("MatMul (x, w)", "MatMul (x, v)", "Add (a, b)", "MatMul (t, v)")),
    ],
)
def test_refuses_a_copy_of_large_shared_weights(rule, body):
    refuses(rule, LARGE.format(*body), {"w": (96, 96), "v": (96, 96)}, reason="a second copy is large")


def test_refuses_a_copy_of_large_shared_kernels():
    text = """g (float[N,96,2,2] x) => (float[N,96,2,2] y) {
        a = Conv (x, w) b = Conv (a, v) t = Relu (b) y = Conv (t, v) }"""
    refuses(conv_conv, text, {"w": (96, 96, 1, 1), "v": (96, 96, 1, 1)}, reason="a second copy is large")


def test_refuses_a_matrix_beside_several():
    text = "g (float[2,S,6] x) => (float[2,S,8] y) { a = MatMul (x, w) b = MatMul (x, v) y = Add (a, b) }"
    refuses(parallel_matmul, text, {"w": (2, 6, 8), "v": (2, 6, 8)}, reason="is no matrix of numbers")


def test_as_many_products_of_gemm_as_before():
    text = '<ir_version: 3, opset_import: ["" : 7]>' + GEMM.format("alpha = 0.5", ", b", "beta = 1.0", ", c")
    given = {"w": (6, 3), "v": (3, 6), "b": (3,), "c": (6,)}
    fires(gemm_gemm, text.replace("[N,4]", "[N,6]"), given, leaves=["Gemm"])


def test_refuses_gemm_beside_a_narrower_one():
    text = "g (float[N,6] x) => (float[N,4] y) { a = Gemm (x, w) c = Gemm (x, v) y = Add (a, c) }"
    refuses(parallel_gemm, text, {"w": (6, 4), "v": (6, 1)}, reason="differ in shape")


@pytest.mark.parametrize("opset", [7, 21])
def test_gemm_beside_gemm(opset):
    text = f'<ir_version: 3, opset_import: ["" : {opset}]>'
    text += """g (float[N,6] x) => (float[N,4] y) {
        a = Gemm (x, w, b) c = Gemm <transB = 1, alpha = 2.0> (x, v, d) y = Add (a, c) }"""
    fires(parallel_gemm, text, {"w": (6, 4), "b": (4,), "v": (4, 6), "d": (4,)}, leaves=["Gemm"])


def test_gemm_beside_gemm_with_something_added_between():
    text = """g (float[N,6] x, float[N,4] z) => (float[N,4] y) {
        a = Gemm (x, w, b) s = Add (a, z) c = Gemm (x, v) y = Add (s, c) }"""
    fires(parallel_gemm, text, {"w": (6, 4), "b": (4,), "v": (6, 4)}, leaves=["Gemm", "Add"])
