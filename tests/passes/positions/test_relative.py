"""Buckets of relative positions, as T5 has them, and what is left of them."""

from __future__ import annotations

import math

import numpy as np
import onnxruntime
import pytest

from passes.positions import bucketed_lookup, leading_axes
from tests.support import fires, proto, refuses

SHARED = {
    "zero": np.int64(0),
    "one": np.int64(1),
    "eight": np.int64(8),
    "fifteen": np.int64(15),
    "sixteen": np.int64(16),
    "eighth": np.float32(1 / 8),
    "factor": np.float32(8 / math.log(16)),
    "table": np.arange(64, dtype=np.float32).reshape(32, 2),
    "i0": np.array([0]),
    "i1": np.array([1]),
}
DISTANCES = """
  s = Shape(x) n = Gather(s, zero) r = Range(zero, n, one) keys = Unsqueeze(r, i0) queries = Unsqueeze(r, i1)
  d = Sub(keys, queries)
"""
LARGE = "f = Cast<to = 1>(a) e = Mul(f, eighth) l = Log(e) g = Mul(l, factor) t = Cast<to = 7>(g) u = Add(t, eight)"
BUCKETS = f"""
  later = Greater(d, zero) side = Cast<to = 7>(later) half = Mul(side, sixteen) a = Abs(d) near = Less(a, eight)
  {LARGE} v = Min(u, fifteen) w = Where(near, a, v) b = Add(half, w)
"""
FOLDED = [bucketed_lookup, "fold", "clean"]
LEFT = ["Shape", "Gather", "Range", "Unsqueeze", "Unsqueeze", "Sub", "Clip", "Gather"]


def model(body, result="float[N,N,2] y", inputs="float[N] x", lookup="y = Gather(table, b)"):
    return f"g ({inputs}) => ({result}) {{ {body} {lookup} }}"


def used(text, **more):
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return {name: value for name, value in (SHARED | more).items() if name in words}


def test_buckets_of_both_sides_are_a_table_of_distances():
    text = model(DISTANCES + BUCKETS)
    graph = fires(FOLDED, text, used(text), leaves=LEFT).graph
    assert graph.nodes[-1].inputs[0].shape == (257, 2)


def test_buckets_along_another_axis():
    text = model(DISTANCES + BUCKETS, "float[2,N,N] y", lookup="y = Gather<axis = 1>(table, b)")
    graph = fires(FOLDED, text, used(text, table=SHARED["table"].T.copy()), leaves=LEFT).graph
    assert graph.nodes[-1].inputs[0].shape == (2, 257)


def test_buckets_of_the_past_alone():
    past = f"m = Min(d, zero) a = Neg(m) near = Less(a, eight) {LARGE} v = Min(u, fifteen) b = Where(near, a, v)"
    text = model(DISTANCES + past)
    fires(FOLDED, text, used(text), leaves=LEFT)


@pytest.mark.parametrize("length", [1, 9, 16, 17, 129, 300])
def test_distances_of_every_length(length):
    text = model(DISTANCES + BUCKETS)
    before, after = proto(text, used(text)), fires(FOLDED, text, used(text), leaves=LEFT).to_proto()
    runs = (onnxruntime.InferenceSession(one.SerializeToString()) for one in (before, after))
    one, other = (session.run(None, {"x": np.zeros(length, np.float32)})[0] for session in runs)
    np.testing.assert_array_equal(one, other)


def test_numbers_that_go_on_are_looked_up():
    text = model(DISTANCES + f"a = Abs(d) near = Less(a, eight) {LARGE} b = Where(near, a, u)")
    refuses(bucketed_lookup, text, used(text), reason="not known to be the same for all large numbers")


def test_positions_that_are_given_are_looked_up():
    text = model(BUCKETS, inputs="int64[N,N] d")
    refuses(bucketed_lookup, text, used(text), reason="larger than those of positions")


def test_a_single_operator_is_left_alone():
    text = model(DISTANCES + "m = Min(d, fifteen) b = Max(m, zero)")
    refuses(bucketed_lookup, text, used(text), reason="by several operators")


CLIPPED = "m = Min(d, one) p = Max(m, less) b = Add(p, one)"


@pytest.mark.parametrize(("opset", "axes"), [(12, "<axes = [{}]>(r)"), (21, "(r, i{})")])
def test_three_operators_are_several(opset, axes):
    distances = DISTANCES.replace("(r, i0)", axes.format(0)).replace("(r, i1)", axes.format(1))
    text = f'<ir_version: 7, opset_import: ["" : {opset}]> {model(distances + CLIPPED)}'
    graph = fires(FOLDED, text, used(text, less=np.int64(-1)), leaves=LEFT).graph
    assert graph.nodes[-1].inputs[0].shape == (3, 2)


@pytest.mark.parametrize("bound", [4096, 4097])
def test_so_many_numbers_have_rows_of_their_own(bound):
    text = model(DISTANCES + "a = Abs(d) m = Min(a, most) c = Equal(m, most) b = Cast<to = 7>(c)")
    weights = used(text, most=np.int64(bound))
    if bound == 4096:
        assert fires(FOLDED, text, weights, leaves=LEFT).graph.nodes[-1].inputs[0].shape == (8193, 2)
    else:
        refuses(bucketed_lookup, text, weights, reason="not known to be the same for all large numbers")


def test_numbers_that_are_moved_are_looked_up():
    text = model(DISTANCES + CLIPPED + " t = Transpose<perm = [1, 0]>(b)", lookup="y = Gather(table, t)")
    refuses(bucketed_lookup, text, used(text, less=np.int64(-1)), reason="by several operators")


def test_constant_numbers_are_looked_up():
    text = model(CLIPPED, "float[2,2,2] y")
    refuses(bucketed_lookup, text, used(text, less=np.int64(-1), d=np.eye(2, dtype=np.int64)), reason="are constant")


@pytest.mark.parametrize(("kind", "body"), [("float", "m = Min(d, fifth) c = Abs(m)"), ("uint8", "c = Max(d, five)")])
def test_numbers_that_have_no_sign_or_parts_are_looked_up(kind, body):
    text = model(f"{body} i = Cast<to = 7>(c) j = Abs(i) b = Min(j, fifteen)", inputs=f"{kind}[N,N] d")
    weights = used(text, fifth=np.float32(0.2), five=np.uint8(5))
    refuses(bucketed_lookup, text, weights, reason="not computed from whole numbers")


def test_numbers_of_two_positions_are_looked_up():
    both = DISTANCES + "a = Abs(d) o = Min(a, eight) p = Min(keys, eight) q = Add(o, p) b = Min(q, fifteen)"
    text = model(both)
    refuses(bucketed_lookup, text, used(text))


def test_a_table_that_is_computed_is_left_alone():
    text = model(DISTANCES + BUCKETS, inputs="float[N] x, float[32,2] rows", lookup="y = Gather(rows, b)")
    refuses(bucketed_lookup, text, used(text), reason="the table is not constant")


def test_rounding_in_half_precision_is_not_followed():
    narrow = BUCKETS.replace("to = 1", "to = 10")
    text = model(DISTANCES + narrow)
    halves = {name: SHARED[name].astype(np.float16) for name in ("eighth", "factor")}
    refuses(bucketed_lookup, text, used(text, **halves), reason="not known to be the same for all large numbers")


# ---- leading axes ----


@pytest.mark.parametrize("op", ["Sub", "Less"])
@pytest.mark.parametrize("order", ["(p, q)", "(q, p)"])
def test_arithmetic_adds_leading_axes_itself(op, order):
    kind = "int64" if op == "Sub" else "bool"
    text = f"g (int64[N] x, int64[N,1] q) => ({kind}[N,N] y) {{ p = Unsqueeze(x, i0) y = {op}{order} }}"
    fires(leading_axes, text, used(text), leaves=[op])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("p = Unsqueeze(x, i1) y = Sub(p, q)", "behind others"),
        ("p = Unsqueeze(x, i0) y = Sub(p, x)", "fewer dimensions"),
        ("p = Unsqueeze(x, i0) y = Sub(p, p)", "are the same"),
    ],
)
def test_other_axes_stay(body, reason):
    text = f"g (int64[N] x, int64[N,1] q) => (int64[?,?] y) {{ {body} }}"
    refuses(leading_axes, text, used(text), reason=reason)


@pytest.mark.parametrize("axis", [0, -1])
def test_a_number_needs_no_axis(axis):
    text = "g (int64 x, int64[N] q) => (int64[N] y) { p = Unsqueeze(x, axis) y = Sub(p, q) }"
    fires(leading_axes, text, {"axis": np.array([axis])}, leaves=["Sub"])


def test_a_number_that_becomes_a_vector_does():
    text = "g (int64 x, int64 q) => (int64[1] y) { p = Unsqueeze(x, i0) y = Sub(p, q) }"
    refuses(leading_axes, text, used(text), reason="fewer dimensions")


def test_unknown_axes_stay():
    text = "g (int64[N] x, int64[N,1] q, int64[1] axis) => (int64[?,?] y) { p = Unsqueeze(x, axis) y = Sub(p, q) }"
    refuses(leading_axes, text, reason="the axes are unknown")


def test_since_arithmetic_adds_leading_axes():
    text = '<ir_version: 3, opset_import: ["" : 7]> g (int64[N] x, int64[N,1] q) => (int64[N,N] y)'
    fires(leading_axes, f"{text} {{ p = Unsqueeze<axes = [0]>(x) y = Sub(p, q) }}", leaves=["Sub"])


def test_leading_axes_of_floating_operands_stay():
    text = "g (float[N] x, float[N,1] q) => (float[N,N] y) { p = Unsqueeze(x, i0) y = Sub(p, q) }"
    refuses(leading_axes, text, used(text), reason="no whole numbers")
