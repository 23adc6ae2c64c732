"""What `graphopt why` says of an attention that is almost one: what was missing, and where."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.cli.conftest import run
from tests.passes.attention.spelling import PARTS, attention, masked, weights
from tests.support import proto

INPUTS = PARTS["inputs"]
UNKNOWN = attention(
    inputs=f"{INPUTS}, int64[4] cut",
    **{name: PARTS[name].replace("apart", "cut") for name in ("query", "key", "value")},
)
UNRANKED = masked(
    "bias = Reshape(many, shape) scores = Add(plain, bias)",
    "float[m] many, int64[r] shape",
)
MISSES = {
    "a scale for each key": (
        masked("scores = Mul(plain, slopes)", "float[s] slopes", scale="qs = Identity(qt)"),
        "the scores are not a product of queries and keys",
    ),
    "a mask of unknown rank": (UNRANKED, "the shape of the scores is unknown, as that of bias is"),
    "heads of unknown number": (UNKNOWN, "the shape of the scores is unknown, as that of q4 is"),
    "probabilities that are returned": (
        attention(output="float[b, s, 32] y, float[b, 4, s, s] p"),
        "p is also returned by the graph",
    ),
    "scores that are returned": (
        attention(output="float[b, s, 32] y, float[b, 4, s, s] scores"),
        "something else reads the scores too",
    ),
    "a product that something else reads": (
        masked("scores = Add(plain, bias) z = Neg(plain)", "float[b, 1, s, s] bias").replace(
            "=> (float[b, s, 32] y)", "=> (float[b, s, 32] y, float[b, 4, s, s] z)"
        ),
        "something else reads that product too",
    ),
    "a bias for each query alone": (
        masked("scores = Add(plain, bias)", "float[b, 1, s, 1] bias"),
        "what is added to the scores is the same for all keys",
    ),
    "values of another type": (
        attention(value=f"{PARTS['value'].replace('vt =', 'vs =')} vt = Cast<to = 10>(vs)", softmax=(
            "soft = Softmax<axis = -1>(scores) p = Cast<to = 10>(soft)"), output="float16[b, s, 32] y"),
        "different element types",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISSES)
def test_what_was_missing_is_said(name, tmp_path):
    text, reason = MISSES[name]
    onnx.save(proto(text, weights(text)), tmp_path / "model.onnx")
    shown = run("why", tmp_path / "model.onnx", "--rule", "multi_head_attention").stdout
    assert "It fires nowhere." in shown
    assert f"{reason}" in " ".join(shown.split())
    assert "at MatMul o" in shown


def test_an_unusual_scale_is_no_miss(tmp_path):
    text = attention()
    onnx.save(proto(text, weights(text) | {"root": np.float32(0.3)}), tmp_path / "model.onnx")
    shown = run("why", tmp_path / "model.onnx", "--rule", "multi_head_attention").stdout
    assert "It fires in 1 place: MatMul o." in shown
