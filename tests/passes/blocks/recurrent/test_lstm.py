"""LSTM, put together again from cells."""

from __future__ import annotations

import numpy as np
import pytest

from passes.blocks import unrolled_lstm, unrolled_lstm_end
from tests.support import apply, fires, operators, refuses

PASS = [unrolled_lstm, unrolled_lstm_end, "clean"]
WEIGHTS = {
    "w": (20, 6),
    "r": (20, 5),
    "bw": (20,),
    "br": (20,),
    "one": np.array([1]),
    "nil": np.array([0]),
    **{f"at{t}": np.int64(t) for t in range(12)},
}
STATE = ", float[b, 5] h0, float[b, 5] c0"


def cell(t: int, before: int | None = None, order: str = "ifgo", product: str = "Gemm<transB = 1>") -> str:
    """Step t, after the state `before` (by default that of the step before it)."""
    last = t if before is None else before
    pieces = ", ".join(f"{gate}{t + 1}" for gate in order)
    return f"""
        x{t} = Gather<axis = 1>(x, at{t}) a{t} = {product}(x{t}, w, bw) b{t} = Gemm<transB = 1>(h{last}, r, br)
        s{t} = Add(b{t}, a{t}) {pieces} = Split<axis = 1, num_outputs = 4>(s{t})
        si{t} = Sigmoid(i{t + 1}) sf{t} = Sigmoid(f{t + 1}) tg{t} = Tanh(g{t + 1}) so{t} = Sigmoid(o{t + 1})
        k{t} = Mul(sf{t}, c{last}) n{t} = Mul(si{t}, tg{t}) c{t + 1} = Add(k{t}, n{t})
        th{t} = Tanh(c{t + 1}) h{t + 1} = Mul(so{t}, th{t})
    """


def model(body: str, outputs: str, steps: int = 3, state: str = STATE) -> str:
    head = '<ir_version: 8, opset_import: ["" : 18]>'
    return f"{head} g (float[b, {steps}, 6] x{state}) => ({outputs}) {{ {body} }}"


def stacked(steps: int = 3, axis: int = 1, **options: object) -> str:
    cells = " ".join(cell(t, **options) for t in range(steps))
    lifts = " ".join(f"u{t} = Unsqueeze(h{t}, {'one' if axis else 'nil'})" for t in range(1, steps + 1))
    names = ", ".join(f"u{t}" for t in range(1, steps + 1))
    return f"{cells} {lifts} y = Concat<axis = {axis}>({names})"


def constants(**more: object) -> dict[str, object]:
    return WEIGHTS | more


@pytest.mark.parametrize("order", ["ifgo", "iofg"])
def test_all_states_side_by_side(order):
    model_text = model(stacked(order=order), "float[b, 3, 5] y")
    leaves = {"LSTM": 1, "Unsqueeze": 2, "Transpose": 2, "Squeeze": 1}
    fires(PASS, model_text, constants(), leaves=leaves)


def test_time_comes_first():
    body = stacked(axis=0).replace("Gather<axis = 1>", "Gather<axis = 0>")
    text = model(body, "float[3, b, 5] y").replace("float[b, 3, 6] x", "float[3, b, 6] x")
    fires(PASS, text, constants(), leaves={"LSTM": 1, "Unsqueeze": 2, "Squeeze": 1})


def test_the_last_state():
    text = model(" ".join(cell(t) for t in range(3)), "float[b, 5] h3")
    fires(PASS, text, constants(), leaves={"LSTM": 1, "Unsqueeze": 2, "Transpose": 1, "Squeeze": 1})


def test_a_first_step_that_was_computed_beforehand():
    first = cell(0).replace("b0 = Gemm<transB = 1>(h0, r, br)", "").replace("a0 = Gemm<transB = 1>(x0, w, bw)", "")
    first = first.replace("s0 = Add(b0, a0)", "s0 = Gemm<transB = 1>(x0, w, both)")
    rng = np.random.default_rng(3)
    bias = {name: rng.standard_normal(20).astype(np.float32) for name in ("bw", "br")}
    given = constants(**bias, both=bias["bw"] + bias["br"], c0=np.zeros((1, 1), np.float32))
    text = model(f"{first} {cell(1)} {cell(2)}", "float[b, 5] h3", state="")
    fires(PASS, text, given, leaves={"LSTM": 1, "Transpose": 1, "Squeeze": 1})
    other = given | {"both": bias["bw"]}
    refuses(PASS[:2], text, other, reason="different numbers")


def test_first_states_of_zeros_are_none():
    text = model(" ".join(cell(t) for t in range(3)), "float[2, 5] h3", state="").replace("[b, 3", "[2, 3")
    zeros = {"h0": np.zeros((2, 5), np.float32), "c0": np.zeros((1, 1), np.float32)}
    fires(PASS, text, constants(**zeros), leaves={"LSTM": 1, "Transpose": 1, "Squeeze": 1})
    ones = zeros | {"c0": np.ones((1, 1), np.float32)}
    refuses(PASS[:2], text, constants(**ones), reason="not known to be as large")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Gather<axis = 1>(x, at2)", "Gather<axis = 1>(x, at0)", "all steps in order"),
        ("th1 = Tanh(c2)", "th1 = Tanh(c1)", "no sequence of cells"),
        ("k2 = Mul(sf2, c2)", "k2 = Mul(sf2, c1)", "both of their states"),
        ("b2 = Gemm<transB = 1>(h2, r, br)", "b2 = Gemm<transB = 1>(h2, q, br)", "the cells differ"),
    ],
)
def test_other_chains_stay(old, new, reason):
    body = " ".join(cell(t) for t in range(3))
    assert old in body
    refuses(PASS[:2], model(body.replace(old, new), "float[b, 5] h3"), constants(q=(20, 5)), reason=reason)


@pytest.mark.parametrize("bias", ["bw", "br"])
def test_cells_that_add_another_number_to_each_row_of_the_batch_stay(bias):
    text = model(" ".join(cell(t) for t in range(3)), "float[3, 5] h3", state=STATE.replace("b,", "3,"))
    refuses(PASS[:2], text.replace("[b, 3, 6]", "[3, 3, 6]"), constants(**{bias: (3, 20)}), reason="no sequence")


def test_a_state_in_between_that_is_used_too_stays():
    text = model(" ".join(cell(t) for t in range(3)), "float[b, 5] h3, float[b, 5] h2")
    refuses(PASS[:2], text, constants(), reason="in between")


def test_the_last_of_the_other_states_that_is_used_too_stays():
    text = model(" ".join(cell(t) for t in range(3)) + " z = Neg(c3)", "float[b, 5] h3, float[b, 5] z")
    refuses(PASS[:2], text, constants(), reason="more than the last state")


def test_states_in_another_order_stay():
    text = model(stacked().replace("(u1, u2, u3)", "(u2, u1, u3)"), "float[b, 3, 5] y")
    refuses(PASS[:2], text, constants(), reason="another order")


def test_one_cell_is_no_sequence():
    refuses(PASS[:2], model(cell(0), "float[b, 5] h1", steps=1), constants(), reason="no sequence")


def test_a_long_sequence_is_one_call():
    steps = 12
    result = apply(PASS, model(stacked(steps), f"float[b, {steps}, 5] y", steps=steps), constants())
    assert operators(result.model)["LSTM"] == 1
    assert not result.report.rolled_back


@pytest.mark.parametrize("outputs", ["float[b, 5] h3", "float[b, 3, 5] y"])
def test_since_axes_are_an_input(outputs):
    text = model(stacked() if "y" in outputs else " ".join(cell(t) for t in range(3)), outputs)
    left = {"LSTM": 1, "Unsqueeze": 2, "Transpose": 2 if "y" in outputs else 1, "Squeeze": 1}
    fires(PASS, text.replace(", num_outputs = 4", "").replace(": 18]", ": 13]"), constants(), leaves=left)
