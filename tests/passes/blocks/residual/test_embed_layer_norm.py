"""Embeddings of words, types and positions."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from passes.blocks import embed_layer_norm
from tests.support import fires, proto, refuses

HEAD = '<ir_version: 10, opset_import: ["": 17, "com.microsoft": 1]>'
TABLES = {
    "words": (10, 8),
    "types": (2, 8),
    "places": (1, 6, 8),
    "scale": (8,),
    "offset": (8,),
    "zero": np.array([0]),
    "one": np.array([1]),
    "two": np.array([2]),
}
PLACES = "n = Shape<start = 1, end = 2>(ids) p = Slice(places, zero, n, one)"
NORM = "com.microsoft.SkipLayerNormalization<epsilon = 1e-12>"
WORDS = f"{PLACES} w = Gather(words, ids) y = {NORM}(w, p, scale, offset)"
TYPES = f"{PLACES} w = Gather(words, ids) t = Gather(types, kinds) e = Add(w, t) y = {NORM}(e, p, scale, offset)"
RANGE = ["Mod", "Cast"]
FUSED = ["EmbedLayerNormalization"]


def text(body, inputs="int64[B,S] ids, int64[B,S] kinds", outputs="float[B,S,8] y"):
    return f"{HEAD} g ({inputs}) => ({outputs}) {{ {body} }}"


def used(body, **more):
    return {name: value for name, value in (TABLES | more).items() if name in body}


def test_words_and_positions():
    model = fires([embed_layer_norm, "clean"], text(WORDS), used(WORDS), leaves=RANGE + FUSED)
    fused = model.graph.nodes[-1]
    assert [bool(tensor.name) for tensor in fused.inputs] == [True, False, True, True, False, True, True]
    assert fused.inputs[3].shape == (6, 8)


def test_words_types_and_positions():
    model = fires([embed_layer_norm, "clean"], text(TYPES), used(TYPES), leaves=RANGE * 2 + FUSED)
    assert model.graph.nodes[-1].inputs[2].shape == (10, 8)
    assert model.graph.nodes[-1].inputs[4].shape == (2, 8)


@pytest.mark.parametrize("opset", [10, 17])
def test_constant_positions_of_as_many_words(opset):
    body = f"w = Gather(words, ids) t = Gather(types, kinds) e = Add(w, places) y = {NORM}(e, t, scale, offset)"
    fixed = text(body, "int64[B,6] ids, int64[B,6] kinds", "float[B,6,8] y").replace(": 17,", f": {opset},")
    model = fires([embed_layer_norm, "clean"], fixed, used(body), leaves=RANGE * 2 + FUSED)
    assert model.graph.nodes[-1].inputs[3].shape == (6, 8)


def test_constant_positions_of_one_word_are_no_table():
    body = f"w = Gather(words, ids) t = Gather(types, kinds) e = Add(w, place) y = {NORM}(e, t, scale, offset)"
    fixed = text(body, "int64[B,6] ids, int64[B,6] kinds", "float[B,6,8] y")
    refuses(embed_layer_norm, fixed, used(body, place=(1, 1, 8)), reason="one position for each word")


def test_one_lookup_beside_constant_positions_stays():
    body = f"w = Gather(words, ids) y = {NORM}(w, places, scale, offset)"
    fixed = text(body, "int64[B,6] ids", "float[B,6,8] y")
    refuses(embed_layer_norm, fixed, used(body), reason="fewer operators")


def test_the_order_of_the_summands_does_not_matter():
    body = f"{PLACES} w = Gather(words, ids) t = Gather(types, kinds) e = Add(p, t) y = {NORM}(w, e, scale, offset)"
    fires([embed_layer_norm, "clean"], text(body), used(body), leaves=RANGE * 2 + FUSED)


def test_ids_that_are_int32_are_not_converted():
    body = text(WORDS, "int32[B,S] ids")
    fires([embed_layer_norm, "clean"], body, used(WORDS), leaves=["Mod", *FUSED])


@pytest.mark.parametrize("length", [1, 2, 6])
def test_ids_from_the_end_of_a_table(length):
    before = proto(text(TYPES), used(TYPES))
    after = fires([embed_layer_norm, "clean"], text(TYPES), used(TYPES), leaves=RANGE * 2 + FUSED).to_proto()
    rng = np.random.default_rng(0)
    feeds = {"ids": rng.integers(-10, 10, (3, length)), "kinds": rng.integers(-2, 2, (3, length))}
    runs = (onnxruntime.InferenceSession(model.SerializeToString()) for model in (before, after))
    one, other = (session.run(["y"], feeds)[0] for session in runs)
    np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (WORDS.replace("zero, n, one", "one, n, one"), "no sum of embeddings"),
        (WORDS.replace("zero, n, one", "zero, n, one, two"), "no sum of embeddings"),
        (WORDS.replace("Shape<start = 1, end = 2>(ids)", "Shape<start = 0, end = 1>(ids)"), "one position for each"),
        (WORDS.replace("scale, offset", "scale, offset, offset"), "a bias is added"),
        (TYPES.replace("Gather(types, kinds)", "Gather(types, ids)").replace("Add(w, t)", "Mul(w, t)"), "no sum"),
        (f"w = Gather(words, ids) t = Gather(types, kinds) y = {NORM}(w, t, scale, offset)", "no sum of embeddings"),
    ],
)
def test_other_sums_stay(body, reason):
    refuses(embed_layer_norm, text(body), used(body), reason=reason)


def test_something_that_is_added_too_is_not_lost():
    body = f"{PLACES} w = Gather(words, ids) r = Relu(x) e = Add(r, w) y = {NORM}(p, e, scale, offset)"
    inputs = "int64[B,S] ids, float[B,S,8] x"
    refuses(embed_layer_norm, text(body, inputs), used(body), reason="no sum of embeddings")


def test_a_scale_of_unknown_length_stays():
    given = {name: array for name, array in used(WORDS).items() if name != "scale"}
    refuses(embed_layer_norm, text(WORDS, "int64[B,S] ids, float[h] scale"), given, reason="are no vectors")


def test_types_of_another_shape_stay():
    body = text(TYPES, "int64[B,S] ids, int64[1,S] kinds")
    refuses(embed_layer_norm, body, used(TYPES), reason="different shapes")


def test_a_table_that_is_computed_stays():
    body = text(WORDS, "int64[B,S] ids, float[10,8] words")
    refuses(embed_layer_norm, body, {k: v for k, v in used(WORDS).items() if k != "words"}, reason="no sum")


def test_a_sum_that_is_used_stays():
    body = f"{PLACES} w = Gather(words, ids) y, a, b, e = {NORM}(w, p, scale, offset) z = Neg(e)"
    outputs = "float[B,S,8] y, float[B,S,8] z"
    refuses(embed_layer_norm, text(body, outputs=outputs), used(body), reason="the sum is used")


def test_the_portable_target_has_no_such_operator():
    refuses(embed_layer_norm, text(WORDS), used(WORDS), target="portable")
