"""cast: what becomes narrow, what stays float and why, and that no Cast is left between narrow calls."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from graphopt.errors import UsageError
from graphopt.numerics.run import InProcess
from passes.cast import TYPES
from passes.cast.types import NARROW
from tests.support import apply, operators

CHAIN = """agraph (float[N, 16] x) => (float[N, 16] y) {
    a = MatMul(x, w)  b = Relu(a)  c = Transpose<perm = [0, 1]>(b)  d = Add(c, v)  y = MatMul(d, w)
}"""
WEIGHTS = {"w": (16, 16), "v": (16,)}


def cast(text, weights=None, options="", **more):
    return apply(f"cast{options}", text, weights, **more)


def reasons(result):
    return " ".join(refusal.reason for refusal in result.report.refusals)


def narrow_constants(model, dtype):
    return [held for held in model.graph.initializers if held.dtype == dtype]


def test_casts_stand_only_where_the_model_begins_and_ends():
    result = cast(CHAIN.replace("c = Transpose<perm = [0, 1]>(b)  d = Add(c, v)", "d = Add(b, v)"), WEIGHTS)
    assert operators(result.model) == {"Cast": 2, "MatMul": 2, "Relu": 1, "Add": 1}
    assert [tensor.dtype for tensor in (*result.model.graph.inputs, *result.model.graph.outputs)] == [np.float32] * 2
    assert len(narrow_constants(result.model, np.float16)) == 2
    assert not result.report.rolled_back
    assert result.report.whole.error > 40


def test_the_second_type_has_eight_bits_and_all_exponents():
    result = cast(CHAIN, WEIGHTS, ":to=bf16", target="cuda")
    assert len(narrow_constants(result.model, np.dtype(ml_dtypes.bfloat16))) == 2
    assert not result.report.rolled_back
    assert "target cuda" in result.report.whole.detail


@pytest.mark.parametrize("target", ["ort", "cpu"])
def test_a_type_that_the_target_does_not_compute_in_is_refused(target):
    with pytest.raises(UsageError, match=r"does not run MatMul on bfloat16.*--target cuda"):
        cast(CHAIN, WEIGHTS, ":to=bf16", target=target)


def test_operators_on_the_list_stay_float_unless_allowed():
    text = "agraph (float[N, 4] x) => (float[N, 4] y) { a = Sigmoid(x)  y = Exp(a) }"
    stays, goes = cast(text), cast(text, options=":allow=Exp")
    assert "Exp is on the list" in reasons(stays)
    assert (stays.report.hits["narrowed"], goes.report.hits["narrowed"]) == (1, 2)
    assert "Sigmoid is on the list" in reasons(cast(text, options=":block=Sigmoid"))


def test_named_calls_stay_float():
    text = "agraph (float[N, 4] x) => (float[N, 4] y) { [one] a = Sigmoid(x)  [two] y = Tanh(a) }"
    result = cast(text, options=":exclude=one")
    assert [entry.place for entry in result.report.rewrites] == ["Tanh two"]


@pytest.mark.parametrize(
    ("value", "reason"), [(-3e38, "beyond fp16"), (1e-12, "cannot hold its constant"), (np.inf, "beyond fp16")]
)
def test_constants_out_of_range_stay_float(value, reason):
    text = "agraph (float[N, 4] x) => (float[N, 4] y) { y = Add(x, c) }"
    result = cast(text, {"c": np.float32(value)})
    assert reason in reasons(result)
    assert not result.report.rewrites


def test_moves_between_float_calls_are_left_alone():
    text = "agraph (float[N, 4] x) => (float[N, 4] y) { a = Exp(x)  b = Transpose<perm = [0, 1]>(a)  y = Exp(b) }"
    text = text.replace("[0, 1]", "[1, 0]").replace("(float[N, 4] y)", "(float[4, N] y)")
    result = cast(text)
    assert not result.report.rewrites
    assert "it moves what is computed" in reasons(result)


@pytest.mark.parametrize(("first", "last"), [("Sigmoid", "Exp"), ("Exp", "Sigmoid")])
def test_moves_beside_narrow_calls_are_narrow(first, last):
    text = "agraph (float[N, 4] x) => (float[4, N] y) { a = FIRST(x)  b = Transpose<perm = [1, 0]>(a)  y = LAST(b) }"
    result = cast(text.replace("FIRST", first).replace("LAST", last))
    assert result.report.hits["narrowed"] == 2
    assert operators(result.model)["Cast"] == 2


def test_integers_beside_the_floats_stay_as_they_are():
    text = "agraph (float[N, 4] x, int64[3] i) => (float[3, 4] y) { g = Gather(x, i)  y = Relu(g) }"
    result = cast(text)
    assert result.report.hits["narrowed"] == 2
    assert not result.report.rolled_back


def test_bodies_are_narrow_inside():
    text = """agraph (bool c, float[N, 4] x) => (float[N, 4] y) {
        y = If(c) <then_branch = a () => (float[N, 4] p) { p = Sigmoid(x) },
                   else_branch = b () => (float[N, 4] q) { q = Tanh(x) }>
    }"""
    result = cast(text)
    assert result.report.hits["narrowed"] == 2
    assert not result.report.rolled_back


def test_a_call_below_its_floor_is_undone():
    result = cast(CHAIN, WEIGHTS, ":floor=120")
    assert not [entry for entry in result.report.rewrites if "MatMul" in entry.place]
    assert all("sqnr is" in entry.verdict.detail for entry in result.report.rolled_back)


def test_what_comes_near_the_end_of_the_range_on_data_stays_float(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.full((8, 4), 5e4, np.float32))
    text = "agraph (float[N, 4] x) => (float[N, 4] y) { a = Relu(x)  s = Sigmoid(a)  y = Tanh(s) }"
    result = cast(text, calibration=tmp_path / "data.npz", runner=InProcess())
    assert [entry.place.split()[0] for entry in result.report.rewrites if entry.rule == "narrowed"] == ["Tanh"]
    assert "on the calibration data" in reasons(result)


def test_constants_too_small_for_the_type_stay_float():
    text = "agraph (float[N, 64] x) => (float[N, 64] y) { y = Mul(x, c) }"
    weights = {"c": (np.random.default_rng(0).standard_normal(64) * 1e-6).astype(np.float32)}
    result = cast(text, weights)
    assert "cannot hold its constant c" in reasons(result)
    assert not result.report.rolled_back
    assert cast(text, {"c": weights["c"] * 1e6}).report.hits["narrowed"] == 1


def test_the_types_that_can_be_asked_for_are_those_that_there_are():
    assert tuple(NARROW) == TYPES
