import numpy as np
import pytest

from passes.clean import where_constant
from tests.support import fires, refuses

TEXT = (
    "m (float[N, 3] a, float[N, 3] b) => (float[N, 3] y) { p = Relu(a)  q = Relu(b)  r = Where(c, p, q)  y = Neg(r) }"
)


@pytest.mark.parametrize("value", [np.array(True), np.ones((1, 3), bool), np.array([False])])
def test_one_branch(value):
    model = fires("clean:only=where_constant", TEXT, {"c": value}, leaves=["Relu", "Relu", "Neg"])
    assert model.graph.nodes[-1].inputs[0].name == ("p" if value.all() else "q")


def test_two_equal_branches():
    text = "m (bool[N, 1] c, float[N, 3] a) => (float[N, 3] y) { p = Relu(a)  y = Where(c, p, p) }"
    fires(where_constant, text, leaves=["Relu"])


def test_not_if_it_varies():
    refuses(where_constant, TEXT, {"c": np.array([True, False, True])}, reason="varies")


def test_not_if_it_broadcasts():
    text = "m (float[1, 3] a, float[N, 3] b) => (float[N, 3] y) { p = Relu(a)  y = Where(c, p, b) }"
    refuses(where_constant, text, {"c": np.array(True)}, reason="broadcasts")


def test_not_two_equal_branches_that_the_condition_enlarges():
    text = "m (bool[N, 1] c, float[3] a) => (float[N, 3] y) { p = Relu(a)  y = Where(c, p, p) }"
    refuses(where_constant, text, reason="broadcasts")


def test_zeros_may_change_their_sign():
    text = "m (float[N, 3] a, float[3] b) => (float[N, 3] y) { p = Relu(a)  q = Neg(p)  y = Where(c, q, b) }"
    fires(where_constant, text, {"c": np.array(True)}, leaves=["Relu", "Neg"])
