"""Decoders: keys and values of earlier calls, before the new ones."""

from __future__ import annotations

import numpy as np
import pytest

from passes.attention import cached_attention, multi_head_attention
from tests.passes.attention.spelling import PARTS, attention, weights
from tests.support import apply, fires, operators, refuses

PASS = [multi_head_attention, cached_attention, "clean"]
PAST = "float[b, 4, p, 8] pk, float[b, 4, p, 8] pv"
DECODER = {
    "inputs": f"{PARTS['inputs']}, {PAST}",
    "output": "float[b, s, 32] y, float[b, 4, t, 8] ak, float[b, 4, t, 8] av",
    "key": "k4 = Reshape(k, apart) k5 = Transpose<perm = [0, 2, 1, 3]>(k4) ak = Concat<axis = 2>(pk, k5)"
    " kt = Transpose<perm = [0, 1, 3, 2]>(ak)",
    "value": "v4 = Reshape(v, apart) v5 = Transpose<perm = [0, 2, 1, 3]>(v4) av = Concat<axis = -2>(pv, v5)"
    " vt = Identity(av)",
}


def test_a_past_is_an_input_and_all_of_it_an_output():
    text = attention(**DECODER)
    model = fires(PASS, text, weights(text), leaves=["MultiHeadAttention"])
    (node,) = model.graph.nodes
    assert [tensor.name for tensor in node.inputs] == ["q", "k", "v", "", "", "", "pk", "pv"]
    assert [tensor.name for tensor in node.outputs] == ["y", "ak", "av"]


def test_axes_count_from_either_end():
    text = attention(**DECODER).replace("axis = -2>", "axis = two>").replace("axis = 2>", "axis = -2>")
    text = text.replace("axis = two>", "axis = 2>")
    fires(PASS, text, weights(text), leaves=["MultiHeadAttention"])


def test_heads_that_come_apart_are_put_together():
    key = DECODER["key"].replace("k4 = Reshape(k, apart)", "").replace("(k4)", "(k)")
    text = attention(**DECODER | {"key": key}).replace("float[b, s, 32] k", "float[b, s, 4, 8] k")
    fires(PASS, text, weights(text), leaves=["Reshape", "MultiHeadAttention"])


def test_a_past_and_a_bias():
    extra = {
        "inputs": f"{DECODER['inputs']}, float[b, 1, s, t] bias",
        "scores": "plain = MatMul(qs, kt)",
        "added": "scores = Add(plain, bias)",
    }
    fixed = {name: part.replace("b,", "2,").replace("p,", "3,").replace("s,", "5,").replace("t,", "8,")
             for name, part in (DECODER | extra).items() if name in ("inputs", "output")}  # fmt: skip
    fixed = {name: part.replace(" s]", " 5]").replace(" t]", " 8]") for name, part in fixed.items()}
    text = attention(**(DECODER | extra | fixed))
    fires(PASS, text, weights(text), leaves=["MultiHeadAttention"])


def test_without_the_past_the_product_is_still_one_operator():
    text = attention(**DECODER)
    model = apply([multi_head_attention, "clean"], text, weights(text)).model
    assert operators(model)["MultiHeadAttention"] == 1
    assert operators(model)["Concat"] == 2


def test_a_past_that_is_there_already_is_enough():
    text = """
        <ir_version: 10, opset_import: ["" : 18, "com.microsoft" : 1]>
        agraph (float[b, s, 32] q, float[b, 4, s, 8] k, float[b, 4, s, 8] v, float[b, 4, p, 8] pk, float[b, 4, p, 8] pv)
            => (float[b, s, 32] y, float[b, 4, t, 8] ak, float[b, 4, t, 8] av, float[b, 4, t, 8] key)
        {
            ak = Concat<axis = 2>(pk, k)
            av = Concat<axis = 2>(pv, v)
            y, key = com.microsoft.MultiHeadAttention<num_heads = 4>(q, ak, av)
        }
    """
    refuses(cached_attention, text, reason="has a past already")


def test_new_keys_that_have_no_heads_to_put_together_are_left_alone():
    text = """
        <ir_version: 10, opset_import: ["" : 18, "com.microsoft" : 1]>
        agraph (float[b, s, 32] q, float[b, 4, s, 8] k, float[b, 4, s, 8] v, float[b, 4, p, 8] pk, float[b, 4, p, 8] pv)
            => (float[b, s, 32] y, float[b, 4, t, 8] ak, float[b, 4, t, 8] av)
        {
            ak = Concat<axis = 2>(pk, k)
            av = Concat<axis = 2>(pv, v)
            y = com.microsoft.MultiHeadAttention<num_heads = 4>(q, ak, av)
        }
    """
    refuses(cached_attention, text, reason="not projections whose heads were set apart")


LATER = (
    "kn = Shape<start = 2, end = 3>(ak) total = Squeeze(kn) n1 = Shape<start = 1, end = 2>(q) n = Squeeze(n1)"
    " first = Sub(total, n) r = Range(first, total, i1) d = Unsqueeze(r, i1v) c = Range(i0, total, i1)"
    " sees = LessOrEqual(c, d) scores = Where(sees, plain, infinite)"
)


def test_a_mask_that_is_made_of_all_keys_keeps_them_outside():
    text = attention(**DECODER | {"scores": "plain = MatMul(qs, kt)", "added": LATER})
    numbers = weights(text, i0=np.int64(0), i1=np.int64(1), i1v=np.array([1]))
    model = apply(PASS, text, numbers).model
    assert operators(model)["Concat"] == 2
    assert operators(model)["Softmax"] == 0


def test_a_cache_that_cannot_be_the_attentions_own():
    text = """
        <ir_version: 10, opset_import: ["" : 18, "com.microsoft" : 1]>
        agraph (float[b, s, 32] q, float[b, s, 32] k, float[b, s, 32] v, float[b, 4, p, 8] pk, float[b, 4, p, 8] pv)
            => (float[b, s, 32] y, float[b, 4, t, 8] ak, float[b, 4, t, 8] av)
        {
            k4 = Reshape(k, apart) k5 = Transpose<perm = [0, 2, 1, 3]>(k4) ak = Concat<axis = 2>(pk, k5)
            v4 = Reshape(v, apart) v5 = Transpose<perm = [0, 2, 1, 3]>(v4) av = Concat<axis = 2>(pv, v5)
            OTHER
        }
    """
    mask = "m = ReduceSum<keepdims = 0>(ak, axes) mask = Cast<to = 6>(m)"
    masked = f"{mask} y = com.microsoft.MultiHeadAttention<num_heads = 4>(q, ak, av, , mask)"
    constants = {"apart": np.array([0, 0, 4, 8]), "axes": np.array([1, 3])}
    refuses(cached_attention, text.replace("OTHER", masked), constants, reason="may be made of all keys")
    causal = "y = com.microsoft.MultiHeadAttention<num_heads = 4, unidirectional = 1>(q, ak, av)"
    refuses(cached_attention, text.replace("OTHER", causal), {"apart": constants["apart"]}, reason="counted from")
    biased = "y = com.microsoft.MultiHeadAttention<num_heads = 4>(q, ak, av, bias)"
    refuses(
        cached_attention,
        text.replace("OTHER", biased),
        {"apart": constants["apart"], "bias": np.ones(96, np.float32)},
        reason="adds a bias to queries",
    )


@pytest.mark.parametrize(
    ("joined", "reason"), [("u, k5", "past has not four"), ("pk, u", "new keys or values is unknown")]
)
def test_a_past_of_unknown_shape_stays_outside(joined, reason):
    text = f"""
        <ir_version: 10, opset_import: ["" : 18, "com.microsoft" : 1]>
        agraph (float[b, s, 32] q, float[b, s, 32] k, float[b, s, 32] v, float[b, 4, p, 8] pk, float[b, 4, p, 8] pv,
                float[n] hidden, int64[r] shape) => (float[b, s, 32] y, float[b, 4, t, 8] ak, float[b, 4, t, 8] av)
        {{
            k4 = Reshape(k, apart) k5 = Transpose<perm = [0, 2, 1, 3]>(k4) u = Reshape(hidden, shape)
            v4 = Reshape(v, apart) v5 = Transpose<perm = [0, 2, 1, 3]>(v4)
            ak = Concat<axis = 2>({joined}) av = Concat<axis = 2>(pv, v5)
            y = com.microsoft.MultiHeadAttention<num_heads = 4>(q, ak, av)
        }}
    """
    refuses(cached_attention, text, {"apart": np.array([0, 0, 4, 8])}, reason=reason)
