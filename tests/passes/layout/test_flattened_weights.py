import numpy as np
import pytest

from passes.layout import flattened_weights
from tests.support import fires, refuses

BODY = "a = Transpose <perm = [0, 2, 3, 1]> (x) f = {} (a{}) y = {}"


def model(flatten="Reshape", shape=", shape", product="MatMul (f, w)", x="float[N,3,4,5]"):
    return f"g ({x} x) => (float[A,7] y) {{ {BODY.format(flatten, shape, product)} }}"


@pytest.mark.parametrize("target", [(0, 60), (-1, 60), (0, -1)])
def test_reshape_and_matmul(target):
    held = {"w": (60, 7), "shape": np.array(target)}
    fires(flattened_weights, model(), held, leaves=["Reshape", "MatMul"])


@pytest.mark.parametrize(("attrs", "w"), [("", (60, 7)), ("<transB = 1, alpha = 0.5>", (7, 60))])
def test_flatten_and_gemm(attrs, w):
    held = {"w": w, "b": (7,)}
    fires(flattened_weights, model("Flatten", "", f"Gemm {attrs} (f, w, b)"), held, leaves=["Flatten", "Gemm"])


def test_refuses_rows_that_are_not_whole():
    held = {"w": (20, 7), "shape": np.array([-1, 20])}
    refuses(flattened_weights, model(), held, reason="whole")


def test_refuses_a_batch_that_moves():
    text = model("Flatten", "", "MatMul (f, w)").replace("[0, 2, 3, 1]", "[1, 0, 2, 3]")
    refuses(
        flattened_weights,
        text.replace("float[A,7]", "float[3,7]").replace("[N,3,4,5]", "[2,3,4,5]"),
        {"w": (40, 7)},
        reason="first axis",
    )


def test_refuses_pictures_of_unknown_size():
    text = model("Flatten", "", "MatMul (f, w)", x="float[N,3,H,5]")
    refuses(flattened_weights, text, {"w": (60, 7)}, reason="whole")


def test_refuses_large_weights_that_others_read():
    text = """g (float[N,3,40,50] x) => (float[A,7] y, float[6000,7] z) {
        a = Transpose <perm = [0, 2, 3, 1]> (x) f = Flatten (a) y = MatMul (f, w) z = Neg (w) }"""
    refuses(flattened_weights, text, {"w": (6000, 7)}, reason="used elsewhere")


def test_since_reshape_has_an_input():
    text = '<ir_version: 3, opset_import: ["" : 5]>' + model()
    fires(flattened_weights, text, {"w": (60, 7), "shape": np.array([0, 60])}, leaves=["Reshape", "MatMul"])


@pytest.mark.parametrize(
    ("product", "w", "result"),
    [
        ("MatMul (f, w)", (4, 60, 7), "4,2,7"),
        ("MatMul (f, w)", (60,), "2"),
        ("Gemm <transA = 1> (f, w)", (2, 7), "60,7"),
    ],
)
def test_refuses_other_products(product, w, result):
    text = model("Flatten", "", product, x="float[2,3,4,5]").replace("A,7", result)
    refuses(flattened_weights, text, {"w": w}, reason="no matrix of weights")
