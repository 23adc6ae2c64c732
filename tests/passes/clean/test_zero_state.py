from __future__ import annotations

import numpy as np
import pytest

from passes.clean.zero_state import zero_state
from tests.support import fires, refuses

TEXT = """agraph (float[S, N, 4] x) => (float[S, 1, N, 3] y, float[1, N, 3] h) {{
    s = Shape<start = 1, end = 2>(x)
    d = Concat<axis = 0>(one, s, three)
    z = {state}
    y, h = LSTM<hidden_size = 3>(x, w, r, , , z, z)
}}"""
WEIGHTS = {"w": (1, 12, 4), "r": (1, 12, 3), "one": np.array([1]), "three": np.array([3])}


def test_states_filled_with_zeros_go():
    model = fires(
        zero_state,
        TEXT.format(state="ConstantOfShape(d)"),
        WEIGHTS,
        leaves=["Shape", "Concat", "ConstantOfShape", "LSTM"],
    )
    assert len(model.graph.nodes[-1].inputs) == 3


@pytest.mark.parametrize("number", [0.0, 1.0])
def test_what_is_expanded_counts(number):
    weights = {**WEIGHTS, "v": np.full((1, 1, 1), number, np.float32)}
    text = TEXT.format(state="Expand(v, d)")
    if number:
        refuses(zero_state, text, weights, reason="known to be zero")
    else:
        fires(zero_state, text, weights, leaves=["Shape", "Concat", "Expand", "LSTM"])


def test_states_that_are_not_zero_stay():
    text = TEXT.format(state="ConstantOfShape<value = float[1] {1.0}>(d)")
    refuses(zero_state, text, WEIGHTS, reason="known to be zero")
