import numpy as np
import pytest

from passes.fold import FOLD
from tests.support import apply, fires, operators

WEIGHTS = {"w": (1, 16, 3), "r": (1, 16, 4), "one": np.array([1]), "four": np.array([4])}
STATE = "s = Shape(x) n = Gather(s, one) d = Concat<axis=0>(one, n, four) z = ConstantOfShape(d)"


def test_states_that_are_zero_are_left_out():
    text = f"""g (float[5, N, 3] x) => (float[5, 1, N, 4] y) {{
        {STATE} y = LSTM<hidden_size=4>(x, w, r, , , z, z)
    }}"""
    model = fires(FOLD, text, WEIGHTS, leaves=["LSTM"])
    assert len(model.graph.nodes[0].inputs) == 3


def test_states_that_are_parts_of_zeros():
    text = """g (float[5, N, 3] x) => (float[5, 1, N, 4] y, float[1, N, 4] h) {
        s = Shape(x) n = Gather(s, one) d = Concat<axis=0>(two, n, four) z = ConstantOfShape(d)
        a = Slice(z, zero, one, zero) b = Slice(z, one, two, zero)
        y, h = LSTM<hidden_size=4>(x, w, r, , , a, b)
    }"""
    fires(FOLD, text, {**WEIGHTS, "zero": np.array([0]), "two": np.array([2])}, leaves=["LSTM"])


def test_one_state_of_two():
    text = f"""g (float[5, N, 3] x, float[1, N, 4] c) => (float[5, 1, N, 4] y) {{
        {STATE} y = LSTM<hidden_size=4>(x, w, r, , , z, c)
    }}"""
    model = fires(FOLD, text, WEIGHTS, leaves=["LSTM"])
    assert [tensor.name for tensor in model.graph.nodes[0].inputs] == ["x", "w", "r", "", "", "", "c"]


@pytest.mark.parametrize(("op", "rows"), [("GRU", 12), ("RNN", 4)])
def test_other_recurrent_layers(op, rows):
    text = f"g (float[5, N, 3] x) => (float[5, 1, N, 4] y) {{ {STATE} y = {op}<hidden_size=4>(x, w, r, , , z) }}"
    fires(FOLD, text, {**WEIGHTS, "w": (1, rows, 3), "r": (1, rows, 4)}, leaves=[op])


@pytest.mark.parametrize("batch", [2, 300])
def test_constant_zeros(batch):
    text = f"g (float[5, {batch}, 3] x) => (float[5, 1, {batch}, 4] y) {{ y = LSTM<hidden_size=4>(x, w, r, , , z, z) }}"
    zeros = {name: WEIGHTS[name] for name in "wr"} | {"z": np.zeros((1, batch, 4), np.float32)}
    fires(FOLD, text, zeros, leaves=["LSTM"])


@pytest.mark.parametrize("state", ["ConstantOfShape<value = float[1] {1.0}>(d)", "Expand(seed, d)"])
def test_other_states_stay(state):
    text = f"""g (float[5, N, 3] x, float[1] seed) => (float[5, 1, N, 4] y) {{
        s = Shape(x) n = Gather(s, one) d = Concat<axis=0>(one, n, four) z = {state}
        y = LSTM<hidden_size=4>(x, w, r, , , z, z)
    }}"""
    result = apply(FOLD, text, WEIGHTS)
    assert "zero_state" not in {entry.rule for entry in result.report.rewrites}
    assert operators(result.model)["LSTM"] == 1
