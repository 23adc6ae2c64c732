"""Attention of ai.onnx, for targets that have nothing faster."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from passes.attention import standard_attention
from tests.passes.attention.spelling import FREE_HEADS, GUARDED, PARTS, attention, masked, weights
from tests.passes.attention.test_multi_head import REPEATED, TIMES
from tests.support import apply, fires, operators, proto, refuses

PASS = [standard_attention, "clean"]
NEW = {"opset": '["" : 23]'}
FIXED = {"inputs": "float[2, 5, 32] q, float[2, 5, 32] k, float[2, 5, 32] v", "output": "float[2, 5, 32] y"}


def test_it_is_one_operator():
    text = attention(**NEW)
    model = fires(PASS, text, weights(text), leaves=["Attention"], target="portable")
    (node,) = model.graph.nodes
    assert node.domain == ""
    assert (node.attrs["q_num_heads"], node.attrs["kv_num_heads"]) == (4, 4)


def test_shared_keys_and_values_are_not_repeated():
    text = attention(**NEW, **REPEATED)
    model = fires(PASS, text, weights(text, **TIMES), leaves=["Attention"], target="portable")
    assert model.graph.nodes[0].attrs["kv_num_heads"] == 2


def test_a_constant_mask_of_later_keys_is_an_attribute():
    later = np.where(np.triu(np.ones((5, 5)), 1), -np.inf, 0).astype(np.float32)
    text = attention(**NEW, **FIXED, scores="plain = MatMul(qs, kt)", added="scores = Add(plain, later)")
    model = fires(PASS, text, weights(text, later=later), leaves=["Attention"], target="portable")
    assert model.graph.nodes[0].attrs["is_causal"] == 1


def test_a_bias_is_bounded_so_that_no_row_counts_as_empty():
    text = masked("scores = Add(plain, bias)", "float[b, 1, s, s] bias", **NEW)
    fires(PASS, text, weights(text), leaves=["Max", "Attention"], target="portable")


def test_a_constant_bias_needs_no_bound():
    text = attention(**NEW, **FIXED, scores="plain = MatMul(qs, kt)", added="scores = Add(plain, bias)")
    bias = np.linspace(-1, 1, 100, dtype=np.float32).reshape(1, 4, 5, 5)
    fires(PASS, text, weights(text, bias=bias), leaves=["Attention"], target="portable")


@pytest.mark.parametrize(
    ("number", "softmax"), [("lowest", PARTS["softmax"]), ("lowest", GUARDED), ("infinite", GUARDED)]
)
def test_rows_without_a_key(number, softmax):
    added = f"bias = Where(mask, zero, {number}) scores = Add(plain, bias)"
    text = masked(added, "bool[b, 1, s, s] mask", softmax=softmax, **NEW)
    result = apply(PASS, text, weights(text), target="portable")
    assert operators(result.model)["Attention"] == 1
    rng = np.random.default_rng(0)
    feeds = {name: rng.standard_normal((2, 5, 32)).astype(np.float32) for name in "qkv"}
    feeds["mask"] = rng.random((2, 1, 5, 5)) < 1 / 2
    feeds["mask"][0, 0, 2] = False
    models = (proto(text, weights(text)), result.model.to_proto())
    before, after = (onnxruntime.InferenceSession(one.SerializeToString()).run(None, feeds)[0] for one in models)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)


def test_rows_that_give_nan_are_left_alone():
    added = "bias = Where(mask, zero, infinite) scores = Add(plain, bias)"
    text = masked(added, "bool[b, 1, s, s] mask", **NEW)
    refuses(standard_attention, text, weights(text), target="portable", reason="rows without a score give NaN")


def test_a_guard_over_an_unknown_bias_is_left_alone():
    text = masked("scores = Add(plain, bias)", "float[b, 1, s, s] bias", softmax=GUARDED, **NEW)
    refuses(standard_attention, text, weights(text), target="portable", reason="rows without a score give zeros")


def test_where_there_is_something_faster_it_does_nothing():
    text = attention(**NEW)
    reason = "the target ort runs MultiHeadAttention, which is faster"
    refuses(standard_attention, text, weights(text), reason=reason)


def test_it_needs_opset_23():
    text = attention()
    refuses(standard_attention, text, weights(text), target="portable", reason="needs opset 23")


def test_it_keeps_only_part_of_the_precision_of_float64():
    inputs = "double[b, s, 32] q, double[b, s, 32] k, double[b, s, 32] v"
    text = attention(**NEW, inputs=inputs, output="double[b, s, 32] y")
    refuses(standard_attention, text, weights(text, root=np.float64(0.3)), reason="float64", target="portable")


def test_scores_in_float16_may_overflow():
    text = attention(**NEW, inputs=PARTS["inputs"].replace("float[", "float16["), output="float16[b, s, 32] y")
    half = weights(text) | {"root": np.float16(8**-0.5)}
    refuses(standard_attention, text, half, target="portable", reason="scores of float16 overflow")


def test_unknown_many_heads_stay():
    text = attention(**NEW, **FREE_HEADS)
    refuses(standard_attention, text, weights(text), reason="the number of heads is unknown", target="portable")
