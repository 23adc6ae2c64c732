import numpy as np
import pytest

from passes.clean import neutral_operand
from tests.support import fires, refuses


def text(call, dtype="float", shape="N, 3", result=None):
    return f"m ({dtype}[{shape}] x) => ({dtype}[{result or shape}] y) {{ r = Abs(x)  y = {call} }}"


@pytest.mark.parametrize("call", ["Mul(r, c)", "Mul(c, r)", "Div(r, c)", "Pow(r, c)"])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (3,), (1, 3)])
@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_one(call, shape, dtype):
    weights = {"c": np.ones(shape, np.float32 if dtype == "float" else np.float16)}
    fires(neutral_operand, text(call, dtype), weights, leaves=["Abs"])


@pytest.mark.parametrize(("call", "zero"), [("Sub(r, c)", 0.0), ("Add(r, c)", -0.0)])
def test_the_zero_that_changes_no_sign(call, zero):
    fires(neutral_operand, text(call), {"c": np.float32(zero)}, leaves=["Abs"])


@pytest.mark.parametrize("call", ["Add(r, c)", "Add(c, r)", "Sub(r, c)"])
def test_zero_of_integers(call):
    fires(neutral_operand, text(call, "int64"), {"c": np.int64(0)}, leaves=["Abs"])


@pytest.mark.parametrize(("op", "value"), [("And", True), ("Or", False), ("Xor", False)])
def test_truth(op, value):
    model = f"m (bool[N] x) => (bool[N] y) {{ r = Not(x)  y = {op}(c, r) }}"
    fires(neutral_operand, model, {"c": np.array(value)}, leaves=["Not"])


@pytest.mark.parametrize(("call", "zero"), [("Add(r, c)", 0.0), ("Sub(r, c)", -0.0)])
def test_not_the_zero_that_makes_negative_zero_positive(call, zero):
    refuses(neutral_operand, text(call), {"c": np.float32(zero)}, reason="not neutral")


@pytest.mark.parametrize("call", ["Sub(c, r)", "Pow(c, r)", "Div(c, r)"])
def test_not_from_the_left(call):
    refuses(neutral_operand, text(call), {"c": np.float32(1 if "Sub" not in call else 0)})


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 1), (4, 3)])
def test_not_if_it_broadcasts(shape):
    result = "1, N, 3" if len(shape) == 3 else "4, 3"
    result = result.replace("1, N", "2, N") if shape[0] == 2 else result
    model = text("Mul(r, c)", shape="1, 3" if len(shape) == 2 else "N, 3", result=result)
    refuses(neutral_operand, model, {"c": np.ones(shape, np.float32)}, reason="broadcasts")


def test_not_if_one_element_differs():
    refuses(neutral_operand, text("Mul(r, c)"), {"c": np.array([1, 1, 1 + 2**-23], np.float32)}, reason="not neutral")


def test_not_if_the_constant_can_be_overridden():
    model = "m (float[N] x, float c = {1}) => (float[N] y) { r = Abs(x)  y = Mul(r, c) }"
    refuses(neutral_operand, model)
