"""By how much a model amplifies rounding errors, and how many it makes without being asked to."""

import numpy as np
import pytest

from graphopt.ir.reader import load
from graphopt.numerics.run import InProcess
from graphopt.numerics.sensitivity import amplification, hidden_roundings
from tests.support import proto


def factor(text, feeds, weights=None, enough=None):
    message = proto(text, weights)
    return amplification(InProcess(), load(message), message.SerializeToString(), feeds, 0, enough)


def test_cancellation_amplifies():
    feeds = {"x": np.linspace(1, 2, 8, dtype=np.float32)}
    assert factor("g (float[8] x) => (float[8] y) { y = Neg(x) }", feeds) == pytest.approx(2, abs=0.5)
    text = "g (float[8] x) => (float[8] y) { a = Mul(x, m) y = Sub(a, x) }"
    assert factor(text, feeds, {"m": np.float32(1.001)}) > 500


def test_what_only_few_changes_show_is_looked_for_until_it_is_enough():
    """The result moves only if ten of thirteen inputs grow, as one of 20 shakes makes them."""
    text = """g (float[13] x) => (double y)
        <double most = {13.000000655651094}, double one = {1.0}, double many = {1e9}> {
        wide = Cast<to = 11>(x) sum = ReduceSum<keepdims = 0>(wide) above = Sub(sum, most) over = Relu(above)
        large = Mul(over, many) y = Add(large, one) }"""
    feeds = {"x": np.ones(13, np.float32)}
    assert factor(text, feeds) < 1e6 < factor(text, feeds, enough=1e6)


def test_constants_that_are_no_data_are_left_alone():
    """A Resize whose scale of the channels is not exactly 1 cannot be run."""
    text = 'g (float[1, 2, 3, 4] x) => (float[1, 2, 3, 8] y) { y = Resize<mode = "linear">(x, , s) }'
    feeds = {"x": np.ones((1, 2, 3, 4), np.float32)}
    assert 1 <= factor(text, feeds, {"s": np.float32([1, 1, 1, 2])}) < 4


@pytest.mark.parametrize(("dtype", "count"), [("float16", 8), ("bfloat16", 8), ("float", 0), ("double", 0)])
def test_only_models_with_16_bit_floats_round_where_nobody_asked(dtype, count):
    model = load(proto(f"g ({dtype}[4] x) => ({dtype}[4] y) {{ y = Neg(x) }}"))
    assert hidden_roundings(model, 3) == count


@pytest.mark.parametrize("exponent", [np.float32(2), np.float32([2] * 8)])
def test_exponents_are_no_data(exponent):
    """A negative number to the power of nearly 2 is no number: that would excuse any error."""
    feeds = {"x": np.linspace(-1, 1, 8, dtype=np.float32)}
    assert 1 <= factor("g (float[8] x) => (float[8] y) { y = Pow(x, e) }", feeds, {"e": exponent}) < 8
