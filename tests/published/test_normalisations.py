"""Normalisations, with what is added before them, and embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from tests.published.checks import leaves, model

A, B = "float[16, 32, 4] A", "float[16, 32, 4] B"
NUMBERS = {
    "two": np.float32(2),
    "tiny": np.float32(1e-12),
    "gamma": np.arange(1, 5, dtype=np.float32),
    "beta": np.arange(1, 5, dtype=np.float32) / 10,
    "bias": np.arange(1, 5, dtype=np.float32) / 10,
}
NORM = (
    "m = ReduceMean<axes = [-1], keepdims = 1>(x) d = Sub(x, m) e = Sub(x, m) p = Pow(e, two)"
    " v = ReduceMean<axes = [-1], keepdims = 1>(p) w = Add(v, tiny) r = Sqrt(w) n = Div(d, r)"
    " s = Mul(gamma, n) C = Add(s, beta)"
)
PIECES = dict.fromkeys(("ReduceMean", "Sub", "Pow", "Sqrt", "Div", "Mul"), 0)
SKIPS = {
    "a bias before": "t = Add(A, bias) x = Add(t, B)",
    "a bias behind": "t = Add(B, bias) x = Add(A, t)",
    "no bias": "x = Add(A, B)",
}


@pytest.mark.parametrize("what", SKIPS)
def test_skip_layer_norm(what):
    text = model(f"{SKIPS[what]} {NORM}", f"{A}, {B}", "float[16, 32, 4] C", opset=17)
    weights = {name: number for name, number in NUMBERS.items() if name != "bias" or "bias" in SKIPS[what]}
    counts = PIECES | {"Add": 0, "LayerNormalization": 0, "SkipLayerNormalization": 1}
    leaves(text, counts, weights)


@pytest.mark.parametrize("what", ["a bias before", "a bias behind"])
def test_skip_layer_norm_of_a_sum_that_is_an_output(what):
    outputs = "float[16, 32, 4] C, float[16, 32, 4] t"
    text = model(f"{SKIPS[what]} {NORM}", f"{A}, {B}", outputs, opset=17)
    leaves(text, PIECES | {"Add": 1, "SkipLayerNormalization": 1}, NUMBERS)


def test_skip_layer_norm_gives_the_sum_too():
    outputs = "float[16, 32, 4] C, float[16, 32, 4] x"
    text = model(f"{SKIPS['no bias']} {NORM}", f"{A}, {B}", outputs, opset=17)
    weights = {name: number for name, number in NUMBERS.items() if name != "bias"}
    leaves(text, PIECES | {"Add": 0, "SkipLayerNormalization": 1}, weights)


def test_layer_norm_with_another_dtype_behind():
    body = (
        "m = ReduceMean<axes = [-1]>(A) d = Sub(A, m) p = Pow(d, two) v = ReduceMean<axes = [-1]>(p)"
        " w = Add(v, tiny) r = Sqrt(w) n = Div(d, r) h = Cast<to = 10>(n) s = Mul(gamma, h) C = Add(beta, s)"
    )
    half = {"gamma": NUMBERS["gamma"].astype(np.float16), "beta": NUMBERS["beta"].astype(np.float16)}
    weights = {"two": NUMBERS["two"], "tiny": NUMBERS["tiny"]} | half
    text = model(body, A, "float16[16, 32, 4] C", opset=17)
    counts = PIECES | {"LayerNormalization": 1, "Cast": 1}
    leaves(text, counts | {"Mul": 1, "Add": 1}, weights)  # the runtime scales before it rounds: other numbers


RMS = "p = Pow(x, two) v = ReduceMean<axes = [-1], keepdims = 1>(p) w = Add(v, tiny) r = Sqrt(w) n = Div(x, r)"


def test_rms_norm_of_t5():
    text = model(f"x = Identity(A) {RMS} C = Mul(gamma, n)", A, "float[16, 32, 4] C")
    weights = {name: NUMBERS[name] for name in ("two", "tiny", "gamma")}
    leaves(text, PIECES | {"Add": 0, "SimplifiedLayerNormalization": 1}, weights)


def test_rms_norm_between_casts():
    body = f"x = Cast<to = 1>(A) {RMS} h = Cast<to = 10>(n) C = Mul(gamma, h)"
    text = model(body, "float16[16, 32, 4] A", "float16[16, 32, 4] C")
    weights = {name: NUMBERS[name] for name in ("two", "tiny")} | {"gamma": NUMBERS["gamma"].astype(np.float16)}
    leaves(text, PIECES | {"Add": 0, "Cast": 0, "SimplifiedLayerNormalization": 1}, weights)


IDS = "int32[batch, 3] ids, int32[batch, 3] segments"
TABLES = {
    "words": (20, 8),
    "positions": (6, 8),
    "types": (2, 8),
    "gamma": np.ones(8, np.float32),
    "beta": np.zeros(8, np.float32),
    "i0": np.int64(0),
    "i1": np.int64(1),
}
COUNTED = (
    "s1 = Shape(ids) g0 = Gather(s1, i0) u0 = Unsqueeze(g0, zero) s2 = Shape(ids) g1 = Gather(s2, i1)"
    " u1 = Unsqueeze(g1, zero) size = Concat<axis = 0>(u0, u1) {cast} r = Range(i0, {limit}, i1)"
    " u2 = Unsqueeze(r, zero) place = Expand(u2, size) at = Gather(positions, place) "
)
SUMMED = (
    "word = Gather(words, ids) one = Add(word, at) type = Gather(types, segments) two = Add(one, type)"
    " y = LayerNormalization(two, gamma, beta)"
)
FUSED = dict.fromkeys(("Shape", "Range", "Expand", "Concat", "Gather", "Add", "LayerNormalization"), 0)
FUSED["EmbedLayerNormalization"] = 1


@pytest.mark.parametrize(("cast", "limit"), [("c = Cast<to = 7>(g1)", "c"), ("", "g1")])
def test_embeddings_whose_positions_are_counted(cast, limit):
    text = model(COUNTED.format(cast=cast, limit=limit) + SUMMED, IDS, "float[batch, 3, 8] y", opset=17)
    leaves(text, FUSED, TABLES | {"zero": np.array([0])})


def test_embeddings_whose_positions_are_constant():
    text = model(SUMMED, IDS, "float[batch, 3, 8] y", opset=17)
    tables = {name: TABLES[name] for name in ("words", "types", "gamma", "beta")}
    leaves(text, FUSED, tables | {"at": (1, 3, 8)})
