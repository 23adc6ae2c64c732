"""GRU, put together again from cells."""

from __future__ import annotations

import numpy as np
import pytest

from passes.blocks import unrolled_gru, unrolled_gru_end
from tests.support import fires, refuses

PASS = [unrolled_gru, unrolled_gru_end, "clean"]
WEIGHTS = {
    "w": (15, 6),
    "r": (15, 5),
    "bw": (15,),
    "br": (15,),
    "one": np.array([1]),
    "nil": np.array([0]),
    **{f"at{t}": np.int64(t) for t in range(4)},
}


def cell(t: int, order: str = "rzn") -> str:
    """Step t: reset, update and new gates, in the order in which the weights have them."""
    given, inner = (", ".join(f"{side}{gate}{t}" for gate in order) for side in "xh")
    return f"""
        x{t} = Gather<axis = 1>(x, at{t}) a{t} = Gemm<transB = 1>(x{t}, w, bw) b{t} = Gemm<transB = 1>(h{t}, r, br)
        {given} = Split<axis = 1, num_outputs = 3>(a{t}) {inner} = Split<axis = 1, num_outputs = 3>(b{t})
        sr{t} = Add(hr{t}, xr{t}) gr{t} = Sigmoid(sr{t}) sz{t} = Add(hz{t}, xz{t}) gz{t} = Sigmoid(sz{t})
        m{t} = Mul(hn{t}, gr{t}) sn{t} = Add(xn{t}, m{t}) n{t} = Tanh(sn{t})
        d{t} = Sub(h{t}, n{t}) e{t} = Mul(d{t}, gz{t}) h{t + 1} = Add(e{t}, n{t})
    """


def model(body: str, outputs: str, state: str = ", float[b, 5] h0") -> str:
    return f'<ir_version: 8, opset_import: ["" : 18]> g (float[b, 3, 6] x{state}) => ({outputs}) {{ {body} }}'


def cells(**options: str) -> str:
    return " ".join(cell(t, **options) for t in range(3))


STACK = "u1 = Unsqueeze(h1, one) u2 = Unsqueeze(h2, one) u3 = Unsqueeze(h3, one) y = Concat<axis = 1>(u1, u2, u3)"


@pytest.mark.parametrize("order", ["rzn", "zrn"])
def test_all_states_side_by_side(order):
    text = model(f"{cells(order=order)} {STACK}", "float[b, 3, 5] y")
    fires(PASS, text, WEIGHTS, leaves={"GRU": 1, "Unsqueeze": 1, "Transpose": 2, "Squeeze": 1})


def test_the_last_state():
    text = model(cells(), "float[b, 5] h3")
    made = fires(PASS, text, WEIGHTS, leaves={"GRU": 1, "Unsqueeze": 1, "Transpose": 1, "Squeeze": 1})
    (node,) = (node for node in made.graph.nodes if node.op == "GRU")
    assert node.attrs["linear_before_reset"] == 1


def test_a_first_step_that_was_computed_beforehand():
    rng = np.random.default_rng(3)
    bias = rng.standard_normal(15).astype(np.float32)
    pieces = dict(zip(("hr0", "hz0", "hn0"), np.split(bias[None], 3, axis=1), strict=True))
    first = cell(0).replace("b0 = Gemm<transB = 1>(h0, r, br)", "")
    first = first.replace("hr0, hz0, hn0 = Split<axis = 1, num_outputs = 3>(b0)", "")
    text = model(f"{first} {cell(1)} {cell(2)}", "float[b, 5] h3", state="")
    given = WEIGHTS | pieces | {"br": bias, "h0": np.zeros((1, 1), np.float32)}
    fires(PASS, text, given, leaves={"GRU": 1, "Transpose": 1, "Squeeze": 1})
    refuses(PASS[:2], text, given | {"br": bias + np.float32(5e-4)}, reason="folded into it")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Gather<axis = 1>(x, at2)", "Gather<axis = 1>(x, at0)", "all steps in order"),
        ("x2 = Gather<axis = 1>(x, at2)", "x2 = ReduceMax<keepdims = 0>(x, one)", "do not read one step each"),
        ("x2 = Gather<axis = 1>(x, at2)", "z = Neg(x) x2 = Gather<axis = 1>(z, at2)", "steps of one sequence"),
        ("b2 = Gemm<transB = 1>(h2, r, br)", "b2 = Gemm<transB = 1>(h2, q, br)", "the cells differ"),
        ("d2 = Sub(h2, n2)", "d2 = Sub(h1, n2)", "no sequence"),
        ("m1 = Mul(hn1, gr1)", "m1 = Mul(hn1, gz1)", "no sequence"),
        ("d2 = Sub(h2, n2)", "d2 = Sub(h2, gr2)", "no sequence"),
        ("sn2 = Add(xn2, m2)", "sn2 = Add(gz2, m2)", "no sequence"),
        ("b2 = Gemm<transB = 1>(h2, r, br)", "b2 = Gemm<transB = 1>(h1, r, br)", "no sequence"),
        ("a2 = Gemm<transB = 1>(x2, w, bw)", "a2 = Gemm<transB = 1, alpha = 0.5>(x2, w, bw)", "no sequence"),
        ("a0 = Gemm<transB = 1>(x0, w, bw)", "a0 = Gemm<transB = 1>(x0, v, bw)", "the first cell differs"),
        ("sr2 = Add(hr2, xr2)", "sr2 = Add(hz2, xr2)", "no sequence"),
    ],
)
def test_other_chains_stay(old, new, reason):
    body = cells()
    assert old in body
    refuses(
        PASS[:2], model(body.replace(old, new), "float[b, 5] h3"), WEIGHTS | {"q": (15, 5), "v": (15, 6)}, reason=reason
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("u1, u2, u3", "u2, u1, u3", "another order"),
        ("u2 = Unsqueeze(h2, one)", "u2 = Reshape(h2, whole)", "not put states side by side"),
        ("axis = 1", "axis = 0", "one after the other in time"),
    ],
)
def test_states_put_together_otherwise_stay(old, new, reason):
    text = model(f"{cells()} {STACK.replace(old, new)}", "float[?, ?, 5] y")
    refuses(PASS[:2], text, WEIGHTS | {"whole": np.array([0, 1, 5])}, reason=reason)


def test_a_first_state_that_broadcasts_stays():
    text = model(cells(), "float[b, 5] h3", state=", float[1, 5] h0")
    refuses(PASS[:2], text, WEIGHTS, reason="not known to be as large")


def test_two_steps_are_a_sequence():
    text = model(f"{cell(0)} {cell(1)}", "float[b, 5] h2").replace("float[b, 3, 6]", "float[b, 2, 6]")
    fires(PASS, text, WEIGHTS, leaves={"GRU": 1, "Unsqueeze": 1, "Transpose": 1, "Squeeze": 1})


def test_operands_and_axes_are_spelled_in_either_way():
    body = cells().replace("Split<axis = 1,", "Split<axis = -1,")
    for t in range(3):
        body = body.replace(f"Mul(hn{t}, gr{t})", f"Mul(gr{t}, hn{t})").replace(
            f"Add(xn{t}, m{t})", f"Add(m{t}, xn{t})"
        )
    leaves = {"GRU": 1, "Unsqueeze": 1, "Transpose": 1, "Squeeze": 1}
    fires(PASS, model(body, "float[b, 5] h3"), WEIGHTS, leaves=leaves)


@pytest.mark.parametrize("bias", ["bw", "br"])
def test_cells_that_add_another_number_to_each_row_of_the_batch_stay(bias):
    text = model(cells(), "float[3, 5] h3", state=", float[3, 5] h0").replace("[b, 3, 6]", "[3, 3, 6]")
    refuses(PASS[:2], text, WEIGHTS | {bias: (3, 15)}, reason="no sequence")


def test_cells_that_add_one_number():
    text = model(cells(), "float[b, 5] h3")
    fires(PASS, text, WEIGHTS | {"bw": (1, 1)}, leaves={"GRU": 1, "Unsqueeze": 1, "Transpose": 1, "Squeeze": 1})


def test_a_state_in_between_that_is_used_too_stays():
    refuses(PASS[:2], model(cells(), "float[b, 5] h3, float[b, 5] h2"), WEIGHTS, reason="in between")


@pytest.mark.parametrize("outputs", ["float[b, 5] h3", "float[b, 3, 5] y"])
def test_since_axes_are_an_input(outputs):
    body = f"{cells()} {STACK if 'y' in outputs else ''}".replace(", num_outputs = 3", "")
    text = model(body, outputs).replace(": 18]", ": 13]")
    left = {"GRU": 1, "Unsqueeze": 1, "Transpose": 2 if "y" in outputs else 1, "Squeeze": 1}
    fires(PASS, text, WEIGHTS, leaves=left)
