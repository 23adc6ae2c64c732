"""Attention, of which the projections are a part."""

from __future__ import annotations

import numpy as np
import pytest

import graphopt
from graphopt.ir.joined import Joined
from passes.attention import packed_attention
from tests.support import apply, fires, proto, refuses

RNG = np.random.default_rng(7)
SQUARE = {name: RNG.standard_normal((32, 32)).astype(np.float32) / 6 for name in ("wq", "wk", "wv")}
BIASES = {name: RNG.standard_normal(32).astype(np.float32) for name in ("bq", "bk", "bv")}
PLAIN = "q = MatMul(x, wq) k = MatMul(x, wk) v = MatMul(x, wv)"
BIASED = PLAIN + " qb = Add(q, bq) kb = Add(k, bk) vb = Add(bv, v)"


def model(body: str, inputs: str = "float[b, s, 32] x", output: str = "float[b, s, 32] y") -> str:
    return f"""
        <ir_version: 10, opset_import: ["" : 18, "com.microsoft" : 1]>
        agraph ({inputs}) => ({output}) {{ {body} }}
    """


def mha(operands: str, attrs: str = "num_heads = 4") -> str:
    return f"y = com.microsoft.MultiHeadAttention<{attrs}>({operands})"


def the_attention(result):
    return next(node for node in result.graph.nodes if node.op == "Attention")


def test_three_projections():
    result = fires(packed_attention, model(PLAIN + mha("q, k, v")), SQUARE, leaves=["Attention"])
    weights, bias = (tensor.values for tensor in the_attention(result).inputs[1:])
    np.testing.assert_array_equal(weights, np.concatenate([*SQUARE.values()], axis=1))
    np.testing.assert_array_equal(bias, np.zeros(96))


def test_three_projections_with_biases():
    text = model(BIASED + mha("qb, kb, vb"))
    result = fires(packed_attention, text, SQUARE | BIASES, leaves=["Attention"])
    np.testing.assert_array_equal(the_attention(result).inputs[2].values, np.concatenate([*BIASES.values()]))


def test_other_weights_are_neither_read_nor_another_region():
    layer = "q{0} = MatMul(x{0}, wq{0}) k{0} = MatMul(x{0}, wk{0}) v{0} = MatMul(x{0}, wv{0})"
    attention = "x{1} = com.microsoft.MultiHeadAttention<num_heads = 4>(q{0}, k{0}, v{0})"
    body = " ".join(f"{layer} {attention}".format(at, at + 1) for at in range(3))
    weights = {f"w{kind}{at}": (64, 64) for at in range(3) for kind in "qkv"}
    text = model(body, "float[b, s, 64] x0", "float[b, s, 64] x3")
    result = apply(packed_attention, text, weights)
    assert result.report.regions_checked == 1
    given = graphopt.load(proto(text, weights)).graph.initializers
    for at, node in enumerate(result.model.graph.nodes):
        assert isinstance(node.inputs[1].stored, Joined)
        expected = np.concatenate([held.values for held in given[3 * at : 3 * at + 3]], axis=1)
        np.testing.assert_array_equal(node.inputs[1].values, expected)


def test_a_bias_that_is_the_attentions_own():
    text = model(PLAIN + mha("q, k, v, own"))
    own = RNG.standard_normal(96).astype(np.float32)
    result = fires(packed_attention, text, SQUARE | {"own": own}, leaves=["Attention"])
    np.testing.assert_array_equal(the_attention(result).inputs[2].values, own)


def test_pieces_of_one_projection_keep_its_weights():
    whole = np.concatenate([*SQUARE.values()], axis=1)
    body = "all = MatMul(x, w) more = Add(all, b) q, k, v = Split<axis = 2>(more, lengths)"
    weights = {"w": whole, "b": np.concatenate([*BIASES.values()]), "lengths": np.array([32, 32, 32])}
    result = fires(packed_attention, model(body + mha("q, k, v")), weights, leaves=["Attention"])
    assert the_attention(result).inputs[1].name == "w"


def test_pieces_in_another_order():
    whole = np.concatenate([*SQUARE.values()], axis=1)
    body = "all = MatMul(x, w) k, q, v = Split<axis = -1>(all, lengths)"
    weights = {"w": whole, "lengths": np.array([32, 32, 32])}
    fires(packed_attention, model(body + mha("q, k, v")), weights, leaves=["Attention"])


def test_pieces_of_the_sequence_are_no_projections():
    body = "all = MatMul(x, wq) q, k, v = Split<axis = 1>(all, lengths)"
    text = model(body + mha("q, k, v"), "float[b, 6, 32] x", "float[b, 2, 32] y")
    weights = {"wq": SQUARE["wq"], "lengths": np.array([2, 2, 2])}
    refuses(packed_attention, text, weights, reason="not cut from the columns")


def test_attributes_and_masks_are_kept():
    attrs = "num_heads = 4, scale = 0.5, unidirectional = 1, mask_filter_value = -1000.0"
    inputs = "float[b, s, 32] x, int32[b, s] mask, float[b, 1, s, s] bias"
    text = model(PLAIN + mha("q, k, v, , mask, bias", attrs), inputs)
    result = fires(packed_attention, text, SQUARE, leaves=["Attention"])
    node = the_attention(result)
    assert node.attrs == {"num_heads": 4, "scale": 0.5, "unidirectional": 1, "mask_filter_value": -1000.0}
    assert [node.inputs[at].name for at in (3, 4, 5)] == ["mask", "", "bias"]


def test_values_of_another_size():
    narrow = SQUARE | {"wv": RNG.standard_normal((32, 16)).astype(np.float32)}
    text = model(PLAIN + mha("q, k, v"), output="float[b, s, 16] y")
    result = fires(packed_attention, text, narrow, leaves=["Attention"])
    assert the_attention(result).attrs["qkv_hidden_sizes"] == [32, 32, 16]


def test_float16():
    text = model(BIASED + mha("qb, kb, vb"), "float16[b, s, 32] x", "float16[b, s, 32] y")
    half = {name: array.astype(np.float16) for name, array in (SQUARE | BIASES).items()}
    result = fires(packed_attention, text, half, leaves=["Attention"])
    assert the_attention(result).inputs[2].dtype == np.float16


def test_a_projection_that_others_read_stays():
    text = model(PLAIN + mha("q, k, v"), output="float[b, s, 32] y, float[b, s, 32] v")
    fires(packed_attention, text, SQUARE, leaves=["MatMul", "Attention"])


@pytest.mark.parametrize(
    ("body", "inputs", "reason"),
    [
        ("q = MatMul(z, wq) k = MatMul(x, wk) v = MatMul(x, wv)", "float[b, s, 32] z", "of different inputs"),
        ("q = MatMul(x, wq) k = MatMul(x, w) v = MatMul(x, wv)", "float[32, 32] w", "not a projection with constant"),
        ("q = Relu(x) k = MatMul(x, wk) v = MatMul(x, wv)", "float[1] w", "not a projection with constant weights"),
        (
            "p = MatMul(x, wq) q = Add(p, w) k = MatMul(x, wk) v = MatMul(x, wv)",
            "float[b, s, 32] w",
            "not a projection with constant weights",
        ),
    ],
)
def test_what_is_left_alone(body, inputs, reason):
    text = model(body + mha("q, k, v"), f"float[b, s, 32] x, {inputs}")
    weights = {name: array for name, array in SQUARE.items() if name in body}
    refuses(packed_attention, text, weights, reason=reason)


def test_a_constant_that_is_no_bias():
    text = model(PLAIN + " qb = Add(q, positions)" + mha("qb, k, v"), "float[b, 5, 32] x", "float[b, 5, 32] y")
    positions = RNG.standard_normal((5, 32)).astype(np.float32)
    refuses(packed_attention, text, SQUARE | {"positions": positions}, reason="is no bias")


def test_keys_and_values_that_are_returned():
    body = PLAIN + " y, pk, pv = com.microsoft.MultiHeadAttention<num_heads = 4>(q, k, v)"
    text = model(body, output="float[b, s, 32] y, float[b, 4, s, 8] pk, float[b, 4, s, 8] pv")
    refuses(packed_attention, text, SQUARE, reason="it returns keys and values too")


def test_short_sequences_and_many_weights_are_faster_apart():
    large = {name: np.zeros((1024, 1024), np.float32) for name in SQUARE}
    shape = "float[8, 16, 1024]"
    text = model(PLAIN + mha("q, k, v"), f"{shape} x", f"{shape} y")
    refuses(packed_attention, text, large, reason="it would be slower")
