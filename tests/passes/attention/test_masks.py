"""What is added to scores: biases, masks of keys, causal masks, and rows of which nothing is left."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnxruntime
import pytest

import graphopt
from passes.attention import multi_head_attention
from tests.passes.attention.spelling import GUARDED, PARTS, attention, masked, weights
from tests.support import apply, fires, operators, proto, refuses

PASS = [multi_head_attention, "clean"]
FREE = {"i12": np.array([1, 2]), "many": np.float32(-10000.0), "one": np.float32(1)}
FIXED = {"inputs": "float[2, 5, 32] q, float[2, 5, 32] k, float[2, 5, 32] v", "output": "float[2, 5, 32] y"}
LATER = np.triu(np.ones((5, 5)), 1)


def the_attention(model):
    return next(node for node in model.graph.nodes if node.op == "MultiHeadAttention")


# ---- biases ----


@pytest.mark.parametrize("shape", ["b, 4, s, s", "b, 1, s, s", "1, 4, s, s", "1, 1, s, s"])
def test_a_bias_of_four_dimensions(shape):
    text = masked("scores = Add(plain, bias)", f"float[{shape}] bias")
    model = fires(PASS, text, weights(text), leaves=["MultiHeadAttention"])
    assert [tensor.name for tensor in the_attention(model).inputs] == ["q", "k", "v", "", "", "bias"]


@pytest.mark.parametrize("shape", ["4, s, s", "s, s"])
def test_a_bias_of_fewer_dimensions(shape):
    text = masked("scores = Add(bias, plain)", f"float[{shape}] bias")
    fires(PASS, text, weights(text), leaves=["Unsqueeze", "MultiHeadAttention"])


def test_two_biases_are_added_before():
    text = masked("some = Add(plain, bias) scores = Add(some, more)", "float[1, 4, s, s] bias, float[b, 1, s, s] more")
    fires(PASS, text, weights(text), leaves=["Add", "MultiHeadAttention"])


def test_a_bias_that_is_the_same_for_all_queries_is_spread():
    text = masked("scores = Add(plain, bias)", "float[b, 1, 1, s] bias")
    fires(PASS, text, weights(text), leaves=["Shape", "Concat", "Expand", "MultiHeadAttention"])


def test_a_bias_for_other_queries_than_keys_is_left_alone():
    text = masked("scores = Add(plain, bias)", "float[b, 1, 1, s] bias")
    text = text.replace("float[b, s, 32] q", "float[b, r, 32] q").replace("float[b, s, 32] y", "float[b, r, 32] y")
    refuses(multi_head_attention, text, weights(text), reason="for another number of queries")


def test_a_bias_for_all_queries_is_spread_since_shapes_have_parts():
    text = masked("scores = Add(plain, bias)", "float[b, 1, 1, s] bias", opset='["" : 14]')
    refuses(multi_head_attention, text, weights(text), reason="before opset 15 it takes more to repeat a mask")


def test_a_bias_in_float32_beside_values_in_float16_is_left_alone():
    narrow = {name: PARTS[name].replace("float[", "float16[") for name in ("inputs", "output")}
    text = attention(
        inputs=f"{narrow['inputs']}, float[b, 1, s, s] bias",
        output=narrow["output"],
        scores="half = MatMul(qs, kt) plain = Cast<to = 1>(half)",
        added="scores = Add(plain, bias)",
        softmax="wide = Softmax<axis = -1>(scores) p = Cast<to = 10>(wide)",
    )
    constants = weights(text) | {"root": np.float16(8**-0.5)}
    refuses(multi_head_attention, text, constants, reason="another dtype than values", target="cuda")


def test_a_bias_that_is_repeated_for_some_heads_is_left_alone():
    inputs = f"{FIXED['inputs']}, float[1, 2, 1, 5, 5] half"
    repeated = "e = Expand(half, wide) bias = Reshape(e, four) scores = Add(plain, bias)"
    text = attention(**FIXED | {"inputs": inputs}, scores="plain = MatMul(qs, kt)", added=repeated)
    shapes = {"wide": np.array([1, 2, 2, 5, 5]), "four": np.array([1, 4, 5, 5])}
    refuses(multi_head_attention, text, weights(text, **shapes), reason="dimensions of what is added")


def test_a_bias_that_is_the_same_for_all_keys_is_left_alone():
    text = masked("scores = Add(plain, bias)", "float[b, 1, s, 1] bias")
    refuses(multi_head_attention, text, weights(text), reason="is the same for all keys")


def test_a_bias_that_is_multiplied_with_the_scores_is_left_alone():
    text = masked("sum = Add(plain, bias) scores = Mul(sum, root)", "float[b, 1, s, s] bias", scale="qs = Identity(qt)")
    refuses(multi_head_attention, text, weights(text), reason="the scores are not a product")


def test_scores_that_are_rounded_are_left_alone():
    rounded = "product = MatMul(qs, kt) whole = Cast<to = 6>(product) scores = Cast<to = 1>(whole)"
    text = attention(scores=rounded)
    refuses(multi_head_attention, text, weights(text), reason="the scores are not a product")


# ---- masks of keys ----

KEYS = {
    "Where(m, 0, -inf)": "bias = Where(m4, zero, infinite)",
    "Where(m, 0, lowest)": "bias = Where(m4, zero, lowest)",
    "Where(not m, lowest, 0)": "n = Not(m4) bias = Where(n, lowest, zero)",
    "Where(m, lowest, 0) of not m": "n = Not(mask) m5 = Unsqueeze(n, i12) bias = Where(m5, lowest, zero)",
    "(1 - m) -10000": "f = Cast<to = 1>(m4) n = Sub(one, f) bias = Mul(n, many)",
    "not m times -10000": "n = Not(m4) f = Cast<to = 1>(n) bias = Mul(f, many)",
}


@pytest.mark.parametrize("name", KEYS)
def test_a_mask_of_keys_is_an_input_of_its_own(name):
    text = masked(f"m4 = Unsqueeze(mask, i12) {KEYS[name]} scores = Add(plain, bias)", "bool[b, s] mask")
    model = apply(PASS, text, weights(text, **FREE)).model
    counts = operators(model)
    assert (counts["MultiHeadAttention"], counts["Where"], counts["Sub"], counts["Unsqueeze"]) == (1, 0, 0, 0)
    assert the_attention(model).inputs[4].producer.op == "Cast"


def test_numbers_that_are_a_mask():
    added = (
        "m4 = Unsqueeze(mask, i12) f = Cast<to = 1>(m4) n = Sub(one, f) bias = Mul(n, many) scores = Add(plain, bias)"
    )
    text = masked(added, "int64[b, s] mask")
    model = fires(PASS, text, weights(text, **FREE), leaves=["Cast", "MultiHeadAttention"])
    assert the_attention(model).attrs["mask_filter_value"] == -10000.0


def test_floats_that_may_be_more_than_a_mask_are_added():
    added = "m4 = Unsqueeze(mask, i12) n = Sub(one, m4) bias = Mul(n, many) scores = Add(plain, bias)"
    text = masked(added, "float[b, s] mask")
    leaves = ["Unsqueeze", "Sub", "Mul", "Shape", "Concat", "Expand", "MultiHeadAttention"]
    fires(PASS, text, weights(text, **FREE), leaves=leaves)


def test_scores_replaced_where_keys_do_not_count():
    text = masked("m4 = Unsqueeze(mask, i12) scores = Where(m4, plain, lowest)", "bool[b, s] mask")
    fires(PASS, text, weights(text, **FREE), leaves=["Cast", "MultiHeadAttention"])


@pytest.mark.parametrize("order", ["b = Cast<to = 9>(m4) n = Not(b)", "e = Not(c) n = Unsqueeze(e, i12)"])
def test_any_number_but_zero_counts(order):
    text = masked(
        f"m4 = Unsqueeze(mask, i12) c = Cast<to = 9>(mask) {order} scores = Where(n, infinite, plain)",
        "int64[b, s] mask",
    )
    model = fires(PASS, text, weights(text, **FREE), leaves=["Cast", "Cast", "MultiHeadAttention"])
    assert [node.attrs["to"] for node in model.graph.nodes if node.op == "Cast"] == [9, 6]


def test_scores_replaced_by_a_small_number_are_left_alone():
    text = masked("m4 = Unsqueeze(mask, i12) scores = Where(m4, plain, many)", "bool[b, s] mask")
    refuses(multi_head_attention, text, weights(text, **FREE), reason="too small to be one that is added")


def test_scores_replaced_for_some_queries():
    text = masked("scores = Where(mask, plain, lowest)", "bool[b, 1, s, s] mask")
    fires(PASS, text, weights(text, **FREE), leaves=["Where", "MultiHeadAttention"])


def test_a_mask_for_each_window_of_an_image():
    windows = "w5 = Reshape(plain, five) m5 = Add(w5, windows) scores = Reshape(m5, four)"
    inputs = "float[6, 5, 32] q, float[6, 5, 32] k, float[6, 5, 32] v, float[1, 3, 1, 5, 5] windows"
    text = attention(inputs=inputs, output="float[6, 5, 32] y", scores="plain = MatMul(qs, kt)", added=windows)
    shapes = {"five": np.array([2, 3, 4, 5, 5]), "four": np.array([6, 4, 5, 5])}
    fires(PASS, text, weights(text, **shapes), leaves=["Expand", "Reshape", "MultiHeadAttention"])


def test_a_mask_for_each_window_of_any_number_of_images_is_left_alone():
    windows = "w5 = Reshape(plain, five) m5 = Add(w5, windows) scores = Reshape(m5, four)"
    inputs = "float[b, 5, 32] q, float[b, 5, 32] k, float[b, 5, 32] v, float[1, 3, 1, 5, 5] windows"
    text = attention(inputs=inputs, output="float[b, 5, 32] y", scores="plain = MatMul(qs, kt)", added=windows)
    shapes = {"five": np.array([-1, 3, 4, 5, 5]), "four": np.array([-1, 4, 5, 5])}
    refuses(multi_head_attention, text, weights(text, **shapes))


# ---- causal masks ----


@pytest.mark.parametrize("hidden", [-np.inf, np.finfo(np.float32).min])
@pytest.mark.parametrize("guard", [PARTS["softmax"], GUARDED])
def test_a_constant_mask_of_later_keys_is_an_attribute(hidden, guard):
    text = attention(**FIXED, scores="plain = MatMul(qs, kt)", added="scores = Add(plain, later)", softmax=guard)
    later = np.where(LATER, hidden, 0).astype(np.float32)[None, None]
    model = fires(PASS, text, weights(text, later=later), leaves=["MultiHeadAttention"])
    assert the_attention(model).attrs["unidirectional"] == 1


def test_scores_replaced_where_keys_come_later():
    text = attention(**FIXED, scores="plain = MatMul(qs, kt)", added="scores = Where(sooner, plain, lowest)")
    model = fires(PASS, text, weights(text, sooner=LATER[None, None] == 0), leaves=["MultiHeadAttention"])
    assert the_attention(model).attrs["unidirectional"] == 1


@pytest.mark.parametrize("mask", [np.triu(np.ones((5, 5)), 2), np.tril(np.ones((5, 5)), -1), LATER * 1e-38])
def test_another_constant_mask_is_a_bias(mask):
    text = attention(**FIXED, scores="plain = MatMul(qs, kt)", added="scores = Add(plain, later)")
    bias = (mask * np.finfo(np.float32).min).astype(np.float32)[None, None]
    model = fires(PASS, text, weights(text, later=bias), leaves=["MultiHeadAttention"])
    assert "unidirectional" not in the_attention(model).attrs


LENGTH = "n1 = Shape<start = 1, end = 2>(q) n = Squeeze(n1) square = Concat<axis = 0>(n1, n1) "
COUNT = f"{LENGTH} r = Range(i0, n, i1) down = Unsqueeze(r, i1v) "
COMPUTED = {
    "the upper triangle of a constant": f"{LENGTH} all = Expand(infinite, square) u = Trilu<upper = 1>(all, i1)"
    " scores = Add(plain, u)",
    "the lower triangle of ones": f"{LENGTH} all = ConstantOfShape<value = float[1] {{1}}>(square)"
    " l = Trilu<upper = 0>(all) c = Cast<to = 9>(l) bias = Where(c, zero, infinite) scores = Add(plain, bias)",
    "not the lower triangle": f"{LENGTH} all = ConstantOfShape<value = float[1] {{1}}>(square)"
    " l = Trilu<upper = 0>(all) c = Cast<to = 9>(l) d = Not(c) scores = Where(d, infinite, plain)",
    "counters compared": f"{COUNT} c = LessOrEqual(r, down) scores = Where(c, plain, lowest)",
    "counters compared the other way round": f"{COUNT} c = Less(down, r) bias = Where(c, infinite, zero)"
    " scores = Add(plain, bias)",
    "counters of which one is ahead": f"{COUNT} more = Add(down, i1) c = Less(r, more) d = Unsqueeze(c, i01)"
    " scores = Where(d, plain, lowest)",
    "a product of the lowest number": f"{COUNT} c = Greater(r, down) f = Cast<to = 1>(c) bias = Mul(f, lowest)"
    " scores = Add(plain, bias)",
}
OTHERS = {
    "the diagonal too": f"{LENGTH} all = Expand(lowest, square) u = Trilu<upper = 1>(all) scores = Add(plain, u)",
    "earlier keys": f"{COUNT} c = GreaterOrEqual(r, down) scores = Where(c, plain, lowest)",
    "the next key counts": f"{COUNT} more = Add(down, i1) c = LessOrEqual(r, more) scores = Where(c, plain, lowest)",
    "a small number": f"{COUNT} c = Greater(r, down) f = Cast<to = 1>(c) bias = Mul(f, zero) scores = Add(plain, bias)",
}
COUNTERS = {"i0": np.int64(0), "i1": np.int64(1), "i1v": np.array([1]), "i01": np.array([0, 1])}


@pytest.mark.parametrize("spelling", COMPUTED)
def test_a_computed_mask_of_later_keys_is_an_attribute(spelling):
    text = attention(scores="plain = MatMul(qs, kt)", added=COMPUTED[spelling])
    model = fires(PASS, text, weights(text, **COUNTERS), leaves=["MultiHeadAttention"])
    assert the_attention(model).attrs["unidirectional"] == 1


@pytest.mark.parametrize("spelling", OTHERS)
def test_another_computed_mask_is_a_bias(spelling):
    text = attention(scores="plain = MatMul(qs, kt)", added=OTHERS[spelling])
    result = apply(PASS, text, weights(text, **COUNTERS))
    assert not result.report.rolled_back
    assert "unidirectional" not in the_attention(result.model).attrs


def test_a_computed_mask_for_other_keys_than_queries_is_a_bias():
    inputs = "float[b, s, 32] q, float[b, t, 32] k, float[b, t, 32] v"
    added = (
        "n1 = Shape<start = 1, end = 2>(q) n = Squeeze(n1) k1 = Shape<start = 1, end = 2>(k) k2 = Squeeze(k1)"
        " rows = Range(i0, n, i1) down = Unsqueeze(rows, i1v) across = Range(i0, k2, i1)"
        " c = LessOrEqual(across, down) scores = Where(c, plain, lowest)"
    )
    text = attention(inputs=inputs, scores="plain = MatMul(qs, kt)", added=added)
    result = apply(PASS, text, weights(text, **COUNTERS))
    assert not result.report.rolled_back
    assert "unidirectional" not in the_attention(result.model).attrs


# ---- rows of which nothing is left ----


def on_masks(text, more, **options):
    """Both models on masks some rows of which hide everything: their results."""
    constants = weights(text, **FREE, **more)
    before, after = proto(text, constants), apply(PASS, text, constants, **options).model.to_proto()
    rng = np.random.default_rng(0)
    feeds = {name: rng.standard_normal((3, 6, 32)).astype(np.float32) for name in "qkv"}
    feeds["mask"] = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0]], bool)
    runs = (onnxruntime.InferenceSession(model.SerializeToString()) for model in (before, after))
    return [session.run(None, feeds)[0] for session in runs]


@pytest.mark.parametrize("number", ["infinite", "lowest"])
@pytest.mark.parametrize("softmax", [PARTS["softmax"], GUARDED])
def test_rows_without_a_key(number, softmax):
    added = f"m4 = Unsqueeze(mask, i12) bias = Where(m4, zero, {number}) scores = Add(plain, bias)"
    text = masked(added, "bool[b, s] mask", softmax=softmax)
    before, after = on_masks(text, {})
    assert np.isnan(before).any() == (number == "infinite" and softmax != GUARDED)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", [12, 13, 18])
def test_rows_without_a_key_in_every_opset(opset):
    spread = "m4 = Unsqueeze<axes = [1, 2]>(mask)" if opset < 13 else "m4 = Unsqueeze(mask, i12)"
    added = f"{spread} bias = Where(m4, zero, infinite) scores = Add(plain, bias)"
    text = masked(added, "bool[b, s] mask", softmax=GUARDED, opset=f'["" : {opset}]')
    leaves = ["Cast", "Cast", "ReduceMax", "Unsqueeze", "MultiHeadAttention", "Mul"]
    fires(PASS, text, weights(text, **FREE), leaves=leaves, target="cpu")


@pytest.mark.parametrize("number", ["infinite", "lowest"])
def test_rows_without_a_key_where_shrink_is_fast(number):
    added = f"m4 = Unsqueeze(mask, i12) bias = Where(m4, zero, {number}) scores = Add(plain, bias)"
    text = masked(added, "bool[b, s] mask", softmax=GUARDED)
    leaves = ["Cast", "MultiHeadAttention", *(["Shrink"] if number == "infinite" else [])]
    fires(PASS, text, weights(text, **FREE), leaves=leaves)
    before, after = on_masks(text, {})
    assert np.isfinite(before).all()
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)


def test_no_shrink_of_a_dtype_that_it_does_not_know():
    added = "m4 = Unsqueeze(mask, i12) bias = Where(m4, zero, infinite) scores = Add(plain, bias)"
    text = masked(added, "bool[b, s] mask", softmax=GUARDED).replace("float[", "bfloat16[")
    numbers = {
        name: np.float32(one).astype(ml_dtypes.bfloat16) for name, one in weights(text).items() if np.ndim(one) == 0
    }
    options = {"passes": PASS, "target": "cuda", "verify": "structure"}
    made = operators(graphopt.optimize(proto(text, weights(text, **FREE) | numbers), **options).model)
    assert made["MultiHeadAttention"] == made["Mul"] == made["ReduceMax"] == 1
    assert "Shrink" not in made


def test_truth_values_made_of_numbers():
    added = "m4 = Unsqueeze(mask, i12) m5 = Cast<to = 9>(m4) scores = Where(m5, plain, lowest)"
    text = masked(added, "int64[b, s] mask")
    fires(PASS, text, weights(text, **FREE), leaves=["Cast", "Cast", "MultiHeadAttention"])


@pytest.mark.parametrize(("target", "guard"), [("cpu", ["IsNaN", "Where"]), ("ort", ["Shrink"])])
def test_a_guard_over_an_unknown_bias_stays(target, guard):
    text = masked("scores = Add(plain, bias)", "float[b, 1, s, s] bias", softmax=GUARDED)
    fires(PASS, text, weights(text), leaves=["MultiHeadAttention", *guard], target=target)


def test_a_guard_where_every_row_has_a_score_goes():
    text = masked(
        "bias = Where(mask, zero, lowest) scores = Add(plain, bias)", "bool[b, 1, s, s] mask", softmax=GUARDED
    )
    fires(PASS, text, weights(text), leaves=["Where", "MultiHeadAttention"])
