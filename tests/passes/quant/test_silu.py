"""SiLU on its way to integer kernels, whatever it is called."""

import numpy as np
import pytest

from graphopt.ir.values import constant
from passes.quant.silu import quick_gelu_apart, silu_of_pixels, swish_apart
from tests.support import fires, refuses

QUICK = """<ir_version: 10, opset_import: ["": 17, "com.microsoft": 1]>
    g (float[N, 8] x) => (float[N, 8] y) { y = com.microsoft.QuickGelu <alpha = %s> (x) }"""
SWISH = (
    """<ir_version: 11, opset_import: ["": 24]> g (float[N, 8] x) => (float[N, 8] y) { y = Swish <alpha = %s> (x) }"""
)
PIXELS = """<ir_version: 10, opset_import: ["": 17, "com.microsoft": 1]>
    g (float[1, 2, %s, %s] x) => (float[1, 3, %s, %s] y%s) <float[3, 2, 1, 1] w> {
        c = Conv(x, w) s = Sigmoid(c) y = Mul(c, s) %s }"""
WEIGHTS = {"w": (3, 2, 1, 1)}


def test_quick_gelu_with_the_slope_of_silu_is_a_sigmoid_and_a_product():
    fires(quick_gelu_apart, QUICK % "1.0", leaves=["Sigmoid", "Mul"])


def test_quick_gelu_with_its_own_slope_is_scaled_first():
    fires(quick_gelu_apart, QUICK % "1.702", leaves=["Mul", "Sigmoid", "Mul"])


@pytest.mark.parametrize(("rule", "text", "slope"), [(quick_gelu_apart, QUICK, 1.702), (swish_apart, SWISH, 1.0)])
def test_slopes_that_go_without_saying(rule, text, slope):
    model = fires(rule, text.replace("<alpha = %s>", ""), leaves=["Sigmoid", "Mul"] + ["Mul"] * (slope != 1))
    held = [constant(tensor) for node in model.graph.nodes for tensor in node.inputs]
    assert [one.values.item() for one in held if one] == [np.float32(slope)] * (slope != 1)


def test_swish_is_a_sigmoid_and_a_product():
    fires(swish_apart, SWISH % "1.0", leaves=["Sigmoid", "Mul"])


def test_swish_with_a_slope_is_scaled_first():
    fires(swish_apart, SWISH % "0.5", leaves=["Mul", "Sigmoid", "Mul"])


@pytest.mark.parametrize("size", [(4, 4), (4, 1), (1, 4)])
def test_silu_behind_a_convolution_is_one_call(size):
    fires(silu_of_pixels, PIXELS % (*size, *size, "", ""), WEIGHTS, leaves=["Conv", "QuickGelu"])


@pytest.mark.parametrize("before", ["c = MaxPool<kernel_shape = [1, 1]>(x)", "c = Relu(x)"])
def test_silu_behind_anything_else_is_left_alone(before):
    text = PIXELS.replace("c = Conv(x, w)", before).replace(", 3, %s", ", 2, %s") % (4, 4, 4, 4, "", "")
    refuses(silu_of_pixels, text, reason="no convolution computes")


def test_silu_of_an_input_is_left_alone():
    text = "g (float[1,2,4,4] c) => (float[1,2,4,4] y) { s = Sigmoid(c) y = Mul(c, s) }"
    refuses(silu_of_pixels, text, reason="no convolution computes")


def test_silu_of_single_pixels_is_left_alone():
    refuses(silu_of_pixels, PIXELS % (1, 1, 1, 1, "", ""), WEIGHTS, reason="there is one pixel")


def test_silu_of_what_others_read_is_left_alone():
    text = PIXELS % (4, 4, 4, 4, ", float[1, 3, 4, 4] z", "z = Relu(c)")
    refuses(silu_of_pixels, text, WEIGHTS, reason="others read its operand too")
