from __future__ import annotations

import numpy as np
import pytest

from passes.positions import rolled
from tests.support import fires, refuses

W = {
    "zero": np.array([0]),
    "two": np.array([2]),
    "back": np.array([-2]),
    "end": np.array([2**31]),
    "axis": np.array([1]),
    "last": np.array([-1]),
    "one": np.array([1]),
}
ROLL = "a = Slice(x, two, end, axis) b = Slice(x, zero, two, axis) y = Concat<axis = 1>(a, b)"
X = "float[N,5,M]"
BACKWARDS = [2, 4, 4, 3, 2, 1]


def net(body: str, x: str = X, y: str = "") -> str:
    return f"g ({x} x) => ({y or x} y) {{ {body} }}"


def test_a_roll_is_a_lookup():
    model = fires(rolled, net(ROLL), W, leaves=["Gather"])
    assert model.graph.nodes[0].attrs == {"axis": 1}
    assert model.graph.nodes[0].inputs[1].values.tolist() == [2, 3, 4, 0, 1]


@pytest.mark.parametrize(
    ("body", "indices"),
    [
        ("a = Slice(x, back, end, axis) b = Slice(x, zero, back, axis) y = Concat<axis = -2>(a, b)", [3, 4, 0, 1, 2]),
        ("a = Slice(x, zero, two, axis, one) b = Slice(x, zero, two, axis) y = Concat<axis = 1>(a, b)", [0, 1, 0, 1]),
        (
            "a = Slice(x, two, end, axis, two) b = Slice(x, last, zero, axis, last) y = Concat<axis = 1>(a, b)",
            [2, 4, 4, 3, 2, 1],
        ),
    ],
)
def test_pieces_in_any_order(body: str, indices: list[int]):
    model = fires(rolled, net(body, y=f"float[N,{len(indices)},M]"), W, leaves=["Gather"])
    assert model.graph.nodes[0].inputs[1].values.tolist() == indices


def test_a_vector():
    body = "a = Slice(x, two, end) b = Slice(x, zero, two) y = Concat<axis = 0>(a, b)"
    fires(rolled, net(body, "float[6]"), W, leaves=["Gather"])
    refuses(rolled, net(body, "float[6,2]"), W, reason="another axis")


@pytest.mark.parametrize(
    ("body", "x", "reason"),
    [
        (ROLL, "float[N,S,M]", "length of the axis is unknown"),
        (ROLL.replace("axis = 1", "axis = 0"), "float[4,5,6]", "cut along another axis"),
        (ROLL.replace("Slice(x, zero, two, axis)", "Neg(x)"), X, "not everything that is joined"),
        ("m = Neg(x) " + ROLL.replace("Slice(x, zero", "Slice(m, zero"), X, "pieces of several tensors"),
        (ROLL.replace("y =", "c =") + " d = Neg(a) y = Concat<axis = 1>(c, d)", X, "used elsewhere"),
        (ROLL.replace("(a, b)", "(a, b, x)"), X, "not everything that is joined"),
        ("a = Slice(x, two, end, axis) y = Concat<axis = 1>(a)", X, "not everything that is joined"),
    ],
)
def test_other_joins_stay(body: str, x: str, reason: str):
    refuses(rolled, net(body, x, "float[?,?,?]"), W, reason=reason)


def test_pieces_with_unknown_ends_stay():
    text = f"g ({X} x, int64[1] k) => (float[N,?,M] y) {{ {ROLL.replace('two, end', 'k, end')} }}"
    refuses(rolled, text, W, reason="begins or ends is unknown")


def test_a_piece_that_is_returned_stays():
    text = f"g ({X} x) => ({X} y, float[N,2,M] b) {{ {ROLL} }}"
    refuses(rolled, text, W, reason="used elsewhere")


@pytest.mark.parametrize("length", [1 << 16, (1 << 16) + 1])
def test_so_many_indices_are_written_down(length: int):
    text = net("a = Slice(x, two, end) b = Slice(x, zero, two) y = Concat<axis = 0>(a, b)", f"float[{length}]")
    if length == 1 << 16:
        fires(rolled, text, W, leaves=["Gather"])
    else:
        refuses(rolled, text, W, reason="the axis is long")


def test_since_pieces_have_inputs():
    fires(rolled, f'<ir_version: 5, opset_import: ["" : 10]> {net(ROLL)}', W, leaves=["Gather"])
