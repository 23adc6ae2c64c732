import numpy as np
import pytest

from passes.canonical import (
    constant_right,
    divide_by_constant,
    divide_by_power_of_two,
    subtract_constant,
)
from tests.support import fires, refuses

OLD = '<ir_version: 3, opset_import: ["" : 6]>'


def text(call, dtype="float", shape="N, 3"):
    return f"m ({dtype}[{shape}] x) => ({dtype}[{shape}] y) {{ y = {call} }}"


def value(model, at=0):
    return model.graph.nodes[at].inputs[1].values


@pytest.mark.parametrize("op", ["Add", "Mul"])
def test_constants_move_to_the_right(op):
    model = fires(constant_right, text(f"{op}(c, x)"), {"c": np.float32(2)}, leaves=[op])
    assert [tensor.name for tensor in model.graph.nodes[0].inputs] == ["x", "c"]


@pytest.mark.parametrize("call", ["Add(x, c)", "Sub(c, x)", "Div(c, x)", "Pow(c, x)"])
def test_constants_that_stay(call):
    refuses(constant_right, text(call), {"c": np.float32(2)})


def test_constants_do_not_move_before_numpy_broadcasting():
    refuses(constant_right, OLD + text("Add(c, x)", shape="3"), {"c": np.ones(3, np.float32)}, reason="needs opset 7")


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "int8", "uint32"])
def test_subtraction_is_addition(dtype):
    c = np.array([1, 0, 5], dtype)
    onnx_name = {"float32": "float"}.get(dtype, dtype)
    fires(subtract_constant, text("Sub(x, c)", onnx_name), {"c": c}, leaves=["Add"])


def test_subtraction_of_one_integer():
    fires(subtract_constant, text("Sub(x, c)", "int64"), {"c": np.int64(3)}, leaves=["Add"])


def test_subtraction_of_a_variable_stays():
    refuses(subtract_constant, "m (float[N] x, float[N] z) => (float[N] y) { y = Sub(x, z) }")
    refuses(subtract_constant, text("Sub(c, x)"), {"c": np.float32(2)})


def test_subtraction_of_weights_stays():
    weights = {"c": np.zeros((300, 300), np.float32)}
    refuses(subtract_constant, text("Sub(x, c)", shape="300, 300"), weights, reason="large")


@pytest.mark.parametrize("divisor", [2.0, -0.5, [1.0, 4.0, 2.0**-60]])
def test_division_by_powers_of_two(divisor):
    model = fires(divide_by_power_of_two, text("Div(x, c)"), {"c": np.float32(divisor)}, leaves=["Mul"])
    assert np.array_equal(value(model), 1 / np.float32(divisor))
    refuses(divide_by_constant, text("Div(x, c)"), {"c": np.float32(divisor)}, reason="divide_by_power_of_two does")


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_division_by_other_numbers(dtype):
    c = np.array([3, 0.7, -11], dtype)
    onnx_name = {"float32": "float", "float64": "double"}.get(dtype, dtype)
    fires(divide_by_constant, text("Div(x, c)", onnx_name), {"c": c}, leaves=["Mul"])
    refuses(divide_by_power_of_two, text("Div(x, c)", onnx_name), {"c": c}, reason="power of two")


@pytest.mark.parametrize("divisor", [0.0, np.inf, np.nan, 1e-40, 3e38])
def test_division_by_what_has_no_reciprocal(divisor):
    for what in (divide_by_constant, divide_by_power_of_two):
        refuses(what, text("Div(x, c)"), {"c": np.float32(divisor)}, reason="not a normal number")


def test_division_of_integers_stays():
    for what in (divide_by_constant, divide_by_power_of_two):
        refuses(what, text("Div(x, c)", "int64"), {"c": np.int64(4)}, reason="not floating")


def test_division_of_a_constant_stays():
    refuses(divide_by_constant, text("Div(c, x)"), {"c": np.float32(3)})
