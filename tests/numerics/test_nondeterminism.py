from __future__ import annotations

import numpy as np
import pytest

from graphopt.ir.edit import Draft
from graphopt.ir.reader import load
from graphopt.ir.types import Constant, Variable
from graphopt.numerics.nondeterminism import nondeterministic
from tests.numerics.models import model


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("y = RandomNormalLike(x)", True),
        ("y = RandomNormalLike <seed = 1.0> (x)", True),
        ("y = RandomUniform <shape = [2]> ()", True),
        ("y = Bernoulli(x)", True),
        ("y = Relu(x)", False),
        ("y = Dropout(x)", False),
        ("y = Dropout(x, r)", False),
        ("y = Dropout(x, r, t)", True),
        ("u = Constant <value = bool {1}> () y = Dropout(x, , u)", True),
        ("u = Constant <value = bool {0}> () y = Dropout(x, , u)", False),
        ("y = com.microsoft.BiasDropout(x, x, , r, t)", True),
        ("y = com.microsoft.BiasDropout(x, x)", False),
        ("y = If <then_branch = a () => (v) { v = Relu(x) }, else_branch = b () => (v) { v = Neg(x) }> (t)", False),
        (
            (
                "y = If <then_branch = a () => (v) { v = If <then_branch = c () => (w) { w = Bernoulli(x) }, "
                "else_branch = d () => (w) { w = Relu(x) }> (t) }, else_branch = b () => (v) { v = Neg(x) }> (t)"
            ),
            True,
        ),
    ],
)
def test_what_draws_random_numbers(body, expected):
    node = load(model(f"agraph (float[2] x, float r, bool t) => (y) {{ {body} }}")).graph.nodes[-1]
    assert nondeterministic(node) is expected


def test_the_first_dropouts_say_it_by_attribute():
    x, y = Variable("x"), Variable("y")
    assert nondeterministic(Draft("Dropout", [x], [y], {"is_test": 0}))
    assert not nondeterministic(Draft("Dropout", [x], [y], {"is_test": 1}))


def test_drafts_are_calls_too():
    x, y = Variable("x"), Variable("y")
    assert nondeterministic(Draft("Multinomial", [x], [y]))
    assert not nondeterministic(Draft("Dropout", [x, Variable.empty(), Constant("?", np.array(False))], [y]))
    assert nondeterministic(Draft("Dropout", [x, Variable.empty(), Constant("?", np.array(True))], [y]))
