"""Causal masks that are cut from a constant one, as long as the sequence is: what TorchScript writes for GPT-2."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from passes.attention import multi_head_attention
from tests.passes.attention.spelling import masked, weights
from tests.support import fires, proto, refuses

PASS = [multi_head_attention, "clean"]
LOWEST = np.finfo(np.float32).min
SQUARE = np.tril(np.ones((40, 40), bool))[None, None]
TABLES = {
    "table": SQUARE,
    "i0": np.array([0]),
    "i1": np.array([1]),
    "i2": np.array([2]),
    "i3": np.array([3]),
}
ROWS = "n = Shape<start = 1, end = 2>(q) rows = Slice(table, i0, n, i2, i1)"
BOTH = f"{ROWS} window = Slice(rows, i0, n, i3, i1)"


def the_attention(model):
    return next(node for node in model.graph.nodes if node.op == "MultiHeadAttention")


def spelled(body, **more):
    text = masked(body, "float[1] unused")
    return text, weights(text, **(TABLES | more))


@pytest.mark.parametrize(
    "scores",
    [
        "scores = Where(window, plain, lowest)",
        "hidden = Where(window, zero, lowest) scores = Add(plain, hidden)",
        "hidden = Where(window, zero, infinite) scores = Add(hidden, plain)",
    ],
)
def test_a_window_of_a_triangle(scores):
    text, tables = spelled(f"{BOTH} {scores}")
    model = fires(PASS, text, tables, leaves=["MultiHeadAttention"])
    assert the_attention(model).attrs["unidirectional"] == 1


def test_a_window_of_numbers_that_are_added():
    text, tables = spelled(f"{BOTH} scores = Add(plain, window)", table=np.where(SQUARE, 0, LOWEST).astype(np.float32))
    model = fires(PASS, text, tables, leaves=["MultiHeadAttention"])
    assert the_attention(model).attrs["unidirectional"] == 1


def test_a_window_of_bytes():
    text, tables = spelled(
        f"{BOTH} kept = Cast<to = 9>(window) scores = Where(kept, plain, lowest)", table=SQUARE.astype(np.uint8)
    )
    fires(PASS, text, tables, leaves=["MultiHeadAttention"])


def test_a_window_of_a_wide_triangle():
    wide = np.tril(np.ones((40, 50), bool))[None, None]
    text, tables = spelled(f"{BOTH} scores = Where(window, plain, lowest)", table=wide)
    model = fires(PASS, text, tables, leaves=["MultiHeadAttention"])
    assert the_attention(model).attrs["unidirectional"] == 1


@pytest.mark.parametrize("table", [SQUARE[..., ::-1].copy(), np.triu(np.ones((40, 40), bool), 1)[None, None]])
def test_a_window_of_something_else_is_a_bias(table):
    text, tables = spelled(f"{BOTH} scores = Where(window, plain, lowest)", table=table)
    model = fires(PASS, text, tables, leaves=["Shape", "Slice", "Slice", "Where", "MultiHeadAttention"])
    assert "unidirectional" not in the_attention(model).attrs


def test_a_window_from_elsewhere_is_a_bias():
    body = "n = Shape<start = 1, end = 2>(q) m = Add(n, i1) rows = Slice(table, i1, m, i2, i1)"
    text, tables = spelled(f"{body} window = Slice(rows, i0, n, i3, i1) scores = Where(window, plain, lowest)")
    refuses(multi_head_attention, text, tables)


def test_a_window_of_a_single_row_is_left_alone():
    text, tables = spelled(f"{BOTH} scores = Where(window, plain, lowest)", table=SQUARE[:, :, :1])
    refuses(multi_head_attention, text, tables)


@pytest.mark.parametrize("length", [1, 2, 40])
def test_windows_of_every_length(length):
    text, tables = spelled(f"{BOTH} scores = Where(window, plain, lowest)")
    before, after = proto(text, tables), fires(PASS, text, tables, leaves=["MultiHeadAttention"]).to_proto()
    rng = np.random.default_rng(0)
    feeds = {name: rng.standard_normal((2, length, 32)).astype(np.float32) for name in "qkv"}
    feeds["unused"] = np.zeros(1, np.float32)
    runs = (onnxruntime.InferenceSession(model.SerializeToString()) for model in (before, after))
    one, other = (session.run(None, feeds)[0] for session in runs)
    np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)
