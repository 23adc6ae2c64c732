import numpy as np
import pytest

from passes.fold import FOLD
from passes.fold.reshape_target import reshape_target
from passes.fold.shapes import reshape_target as spelled
from tests.passes.fold.test_evaluate import constants
from tests.support import apply, fires, operators, refuses

PARTS = "s = Shape(x) b = Gather(s, zero) t = Gather(s, one)"
INDICES = {"zero": np.array([0]), "one": np.array([1])}


def numbers(**values):
    return {name: np.array(value) for name, value in values.items()} | INDICES


def test_free_dimensions_that_stay_in_place_are_copied():
    text = f"""g (float[B, T, 12] x) => (float[B, T, 3, 4] y) {{
        {PARTS} u = Concat<axis=0>(b, t, heads) y = Reshape(x, u)
    }}"""
    model = fires(FOLD, text, numbers(heads=[3, 4]), leaves=["Reshape"])
    assert next(v for v in constants(model).values() if v.size == 4).tolist() == [0, 0, 3, 4]


def test_one_dimension_may_be_inferred():
    text = f"""g (float[B, T, 4] x) => (float[N, 4] y) {{
        {PARTS} n = Mul(b, t) u = Concat<axis=0>(n, four) y = Reshape(x, u)
    }}"""
    model = fires(FOLD, text, numbers(four=[4]), leaves=["Reshape"])
    assert next(v for v in constants(model).values() if v.size == 2).tolist() == [-1, 4]


def test_an_inferred_dimension_stays_one():
    text = (
        f"g (float[B, T, 3, 4] x) => (float[B, T, 12] y) {{ {PARTS} u = Concat<axis=0>(b, t, rest) y = Reshape(x, u) }}"
    )
    fires(FOLD, text, numbers(rest=[-1]), leaves=["Reshape"])


def test_a_copied_dimension_that_may_be_zero_forbids_inferring_another():
    text = f"""g (float[B, T, 4] x, float[B, U] z) => (float[B, N] y) {{
        {PARTS} four = Constant<value_ints=[4]>() n = Mul(t, four) u = Concat<axis=0>(b, n) y = Reshape(x, u)
    }}"""
    refuses(reshape_target, text, INDICES, reason="more than one dimension")


def test_two_free_dimensions_that_move_stay_computed():
    text = f"g (float[B, T, 4] x) => (float[T, B, 4] y) {{ {PARTS} u = Concat<axis=0>(t, b, four) y = Reshape(x, u) }}"
    refuses(reshape_target, text, numbers(four=[4]), reason="more than one dimension")


def test_dimensions_of_zero():
    text = """g (float[0, B, 4] x) => (float[0, B, 2, 2] y) {
        s = Shape<end=2>(x) u = Concat<axis=0>(s, two) y = Reshape<allowzero=1>(x, u)
    }"""
    result = apply(FOLD, text, {"two": np.array([2, 2])})
    assert operators(result.model) == {"Reshape": 1}
    assert constants(result.model).popitem()[1].tolist() == [0, 0, 2, 2]
    assert not result.report.rolled_back


def test_a_target_that_is_an_input_says_nothing():
    refuses(reshape_target, "g (float[6] x, int64[2] u) => (float[A, B] y) { y = Reshape(x, u) }",
            reason="more than one dimension")  # fmt: skip


def test_what_has_unknown_many_dimensions_stays_computed():
    text = "g (float[N] x, int64[K] s) => (float[N] y) { e = Reshape(x, s) n = Shape(x) y = Reshape(e, n) }"
    refuses(reshape_target, text, reason="the ranks are unknown")


def test_a_constant_target_stays():
    text = "g (float[B, 6] x) => (float[B, 2, 3] y) { y = Reshape(x, u) }"
    refuses(reshape_target, text, {"u": np.array([-1, 2, 3])})


@pytest.mark.parametrize(
    ("before", "after", "written", "target"),
    [
        ((2, 3), (6,), (), [6]),
        ((0, 3), (3, 0), (), None),
        ((0, 3), (0, 9), (), [0, 9]),
        ((None, 4), (None, 2, 2), (), [-1, 2, 2]),
        ((None, 4), (None, None), (), None),
        ((None, 0), (None, 0), (), None),
    ],
)
def test_spelling(before, after, written, target):
    assert spelled(before, after, written) == target
