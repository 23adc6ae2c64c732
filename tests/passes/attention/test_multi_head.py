"""MultiHeadAttention, of every spelling of scaled dot-product attention."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt import Close, rule
from passes.attention import multi_head_attention
from passes.attention.core import product
from tests.passes.attention.spelling import FREE_HEADS, GUARDED, PARTS, attention, weights
from tests.support import apply, fires, operators, refuses

PASS = [multi_head_attention, "clean"]

SPELLINGS = {
    "scale on queries": {},
    "scale on keys": {"scale": "", "scores": "ks = Mul(kt, root) scores = MatMul(qt, ks)"},
    "scale on both": {"scale": "qs = Mul(qt, fourth) ks = Mul(kt, fourth)", "scores": "scores = MatMul(qs, ks)"},
    "scale on scores": {"scale": "", "scores": "plain = MatMul(qt, kt) scores = Mul(plain, root)"},
    "division of scores": {"scale": "", "scores": "plain = MatMul(qt, kt) scores = Div(plain, inverse)"},
    "scale before heads are set apart": {
        "query": "qq = Mul(q, root) q4 = Reshape(qq, apart) qs = Transpose<perm = [0, 2, 1, 3]>(q4)",
        "scale": "",
    },
    "keys transposed after they are set apart": {
        "key": "k4 = Reshape(k, apart) k5 = Transpose<perm = [0, 2, 1, 3]>(k4) kt = Transpose<perm = [0, 1, 3, 2]>(k5)"
    },
    "a guard against NaN": {"softmax": GUARDED},
    "batch and heads in one dimension": {
        "query": "q4 = Reshape(q, apart) q5 = Transpose<perm = [0, 2, 1, 3]>(q4) qt = Reshape(q5, three)",
        "key": "k4 = Reshape(k, apart) k5 = Transpose<perm = [0, 2, 1, 3]>(k4) k6 = Reshape(k5, three)"
        " kt = Transpose<perm = [0, 2, 1]>(k6)",
        "value": "v4 = Reshape(v, apart) v5 = Transpose<perm = [0, 2, 1, 3]>(v4) vt = Reshape(v5, three)",
        "result": "o = MatMul(p, vt) o4 = Reshape(o, four) ot = Transpose<perm = [0, 2, 1, 3]>(o4)"
        " y = Reshape(ot, together)",
    },
}
FIXED = {"inputs": "float[2, 5, 32] q, float[2, 5, 32] k, float[2, 5, 32] v", "output": "float[2, 5, 32] y"}
MORE = {"inverse": np.float32(8**0.5), "three": np.array([8, 5, 8]), "four": np.array([2, 4, 5, 8])}


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_is_one_operator(name):
    text = attention(**(FIXED | SPELLINGS[name]))
    model = fires(PASS, text, weights(text, **MORE), leaves=["MultiHeadAttention"])
    (node,) = model.graph.nodes
    assert (node.attrs["num_heads"], node.attrs.get("scale"), node.domain) == (4, None, "com.microsoft")
    assert [tensor.name for tensor in node.inputs] == ["q", "k", "v"]


def test_free_dimensions_are_fine():
    text = attention()
    fires(PASS, text, weights(text), leaves=["MultiHeadAttention"])


@pytest.mark.parametrize("opset", [11, 12, 13, 17, 21, 23, 24])
def test_in_every_opset(opset):
    text = attention(opset=f'["" : {opset}]')
    fires(PASS, text, weights(text), leaves=["MultiHeadAttention"])


def test_inside_a_branch():
    body = attention(**FIXED).split("{", 1)[1].rsplit("}", 1)[0].replace("y = Reshape", "inner = Reshape")
    text = f"""
        <ir_version: 10, opset_import: ["" : 18]>
        agraph ({FIXED["inputs"]}, bool c) => ({FIXED["output"]}) {{
            y = If(c) <
                then_branch = yes () => (float[2, 5, 32] inner) {{ {body} }},
                else_branch = no () => (float[2, 5, 32] other) {{ other = Neg(q) }}
            >
        }}
    """
    result = apply(PASS, text, weights(text))
    assert result.report.hits["multi_head_attention"] == 1
    assert not result.report.rolled_back


def test_an_unusual_scale_is_kept():
    text = attention(scale="", scores="scores = MatMul(qt, kt)")
    model = fires(PASS, text, weights(text), leaves=["MultiHeadAttention"])
    assert model.graph.nodes[0].attrs["scale"] == 1.0


def test_float16_computes_in_float16():
    text = attention(inputs=PARTS["inputs"].replace("float[", "float16["), output="float16[b, s, 32] y")
    fires(PASS, text, weights(text) | {"root": np.float16(8**-0.5)}, leaves=["MultiHeadAttention"])


def test_softmax_in_float32_of_scores_in_float16():
    half = {"inputs": PARTS["inputs"].replace("float[", "float16["), "output": "float16[b, s, 32] y"}
    wide = "wide = Cast<to = 1>(scores) soft = Softmax<axis = -1>(wide) p = Cast<to = 10>(soft)"
    text = attention(**half, softmax=wide)
    fires(PASS, text, weights(text) | {"root": np.float16(8**-0.5)}, leaves=["MultiHeadAttention"])


def test_queries_of_another_sequence():
    text = attention(inputs="float[b, s, 32] q, float[b, t, 32] k, float[b, t, 32] v")
    fires(PASS, text, weights(text), leaves=["MultiHeadAttention"])


def test_values_of_another_size():
    text = attention(
        inputs="float[b, s, 32] q, float[b, s, 32] k, float[b, s, 12] v",
        output="float[b, s, 12] y",
        value="v4 = Reshape(v, smaller) vt = Transpose<perm = [0, 2, 1, 3]>(v4)",
        result="o = MatMul(p, vt) ot = Transpose<perm = [0, 2, 1, 3]>(o) y = Reshape(ot, fewer)",
    )
    more = {"smaller": np.array([0, 0, 4, 3]), "fewer": np.array([0, 0, 12])}
    fires(PASS, text, weights(text, **more), leaves=["MultiHeadAttention"])


def test_one_head_without_a_dimension_of_its_own():
    text = attention(
        query="", key="kt = Transpose<perm = [0, 2, 1]>(k)", value="", scale="qs = Mul(q, root)",
        result="y = MatMul(p, v)",
    )  # fmt: skip
    model = fires(PASS, text, weights(text), leaves=["MultiHeadAttention"])
    assert model.graph.nodes[0].attrs["num_heads"] == 1


def test_the_result_may_stay_as_the_product_had_it():
    text = attention(output="float[b, 4, s, 8] y", result="y = MatMul(p, vt)")
    fires(PASS, text, weights(text), leaves=["MultiHeadAttention", "Reshape", "Transpose"])


def test_sequence_before_batch():
    first = {
        "inputs": "float[s, b, 32] q, float[s, b, 32] k, float[s, b, 32] v",
        "output": "float[s, b, 32] y",
        "query": "q4 = Reshape(q, apart) qt = Transpose<perm = [1, 2, 0, 3]>(q4)",
        "key": "k4 = Reshape(k, apart) kt = Transpose<perm = [1, 2, 3, 0]>(k4)",
        "value": "v4 = Reshape(v, apart) vt = Transpose<perm = [1, 2, 0, 3]>(v4)",
        "result": "o = MatMul(p, vt) ot = Transpose<perm = [2, 0, 1, 3]>(o) y = Reshape(ot, together)",
    }
    text = attention(**first)
    model = apply(PASS, text, weights(text)).model
    assert operators(model)["MultiHeadAttention"] == 1
    assert operators(model)["Softmax"] == 0


PACKED = {
    "inputs": "float[b, 5, 96] x",
    "output": "float[b, 5, 32] y",
    "query": "five = Reshape(x, packed) all = Transpose<perm = [2, 0, 3, 1, 4]>(five)",
    "key": "qt = Gather<axis = 0>(all, i0) kk = Gather<axis = 0>(all, i1) vt = Gather<axis = 0>(all, i2)",
    "value": "kt = Transpose<perm = [0, 1, 3, 2]>(kk)",
}
AT = {"packed": np.array([0, 5, 3, 4, 8]), "i0": np.array(0), "i1": np.array(1), "i2": np.array(2)}


def test_queries_keys_and_values_in_one_tensor():
    text = attention(**PACKED)
    fires(PASS, text, weights(text, **AT), leaves=["Split", "MultiHeadAttention"])


def test_queries_keys_and_values_cut_by_slices():
    cut = " ".join(f"{n}5 = Slice(all, i{i}, i{i + 1}, i0) {n} = Squeeze(x{n}, i0)" for i, n in enumerate("qkv"))
    cut = cut.replace("(x", "(").replace("(q,", "(q5,").replace("(k,", "(k5,").replace("(v,", "(v5,")
    text = attention(
        **(PACKED | {"key": cut + " qt = Identity(q) vt = Identity(v)", "value": PACKED["value"][:-3] + "k)"})
    )
    at = {"packed": AT["packed"], **{f"i{i}": np.array([i]) for i in range(4)}}
    fires(PASS, text, weights(text, **at), leaves=["Split", "MultiHeadAttention"])


REPEATED = {
    "inputs": "float[2, 5, 32] q, float[2, 5, 16] k, float[2, 5, 16] v",
    "output": "float[2, 5, 32] y",
    "key": "k4 = Reshape(k, two) k5 = Transpose<perm = [0, 2, 1, 3]>(k4) k6 = Unsqueeze(k5, i2)"
    " k7 = Expand(k6, times) k8 = Reshape(k7, all) kt = Transpose<perm = [0, 1, 3, 2]>(k8)",
    "value": "v4 = Reshape(v, two) v5 = Transpose<perm = [0, 2, 1, 3]>(v4) v6 = Unsqueeze(v5, i2)"
    " v7 = Expand(v6, times) vt = Reshape(v7, all)",
}
TIMES = {
    "two": np.array([0, 0, 2, 8]),
    "i2": np.array([2]),
    "times": np.array([2, 2, 2, 5, 8]),
    "all": np.array([2, 4, 5, 8]),
}


def test_repeated_keys_and_values_stay_repeated():
    text = attention(**REPEATED)
    model = apply(PASS, text, weights(text, **TIMES)).model
    assert operators(model)["MultiHeadAttention"] == 1
    assert operators(model)["Expand"] == 2


# ---- what is left alone ----


def test_probabilities_that_somebody_reads_stay():
    text = attention(output="float[b, s, 32] y, float[b, 4, s, s] p")
    refuses(multi_head_attention, text, weights(text))


def test_scores_that_somebody_reads_stay():
    text = attention(output="float[b, s, 32] y, float[b, 4, s, s] scores")
    refuses(multi_head_attention, text, weights(text), reason="something else reads the scores too")


def test_a_softmax_over_queries_is_none():
    text = attention(softmax="p = Softmax<axis = -2>(scores)")
    refuses(multi_head_attention, text, weights(text), reason="Softmax does not go over the keys")


def test_the_default_of_a_softmax_was_another_axis():
    old = {"opset": '["" : 12]', "softmax": "p = Softmax(scores)"}
    text = attention(**FIXED, **old)
    refuses(multi_head_attention, text, weights(text), reason="Softmax does not go over the keys")
    text = attention(**FIXED, **(old | {"softmax": "p = Softmax<axis = 3>(scores)"}))
    fires(PASS, text, weights(text), leaves=["MultiHeadAttention"])


def test_a_product_that_was_fused_before():
    fused = "scores = com.microsoft.FusedMatMul<alpha = 0.35355339, transB = 1>(qt, kt)"
    key = PARTS["key"].replace("0, 2, 3, 1", "0, 2, 1, 3")
    text = attention(opset='["" : 18, "com.microsoft" : 1]', key=key, scale="", scores=fused)
    model = fires(PASS, text, weights(text), leaves=["MultiHeadAttention"])
    assert model.graph.nodes[0].attrs.get("scale") is None


def test_scores_that_are_all_zero_are_no_product_however_they_are_spelled():
    for factor in ("plain = MatMul(qt, kt) scores = Mul(plain, zero)", "scores = own.FusedMatMul<alpha = 0.0>(qt, kt)"):
        text = attention(
            opset='["" : 18, "com.microsoft" : 1]', scale="", scores=factor.replace("own", "com.microsoft")
        )
        refuses(multi_head_attention, text, weights(text), reason="the scores are not a product of queries and keys")


def test_scores_that_are_no_product():
    text = attention(scores="m = MatMul(qs, kt) scores = Tanh(m)")
    refuses(multi_head_attention, text, weights(text), reason="the scores are not a product of queries and keys")


def test_an_unknown_shape():
    text = attention(inputs=PARTS["inputs"] + ", int64[n] lengths", query=PARTS["query"].replace("apart", "lengths"))
    refuses(multi_head_attention, text, weights(text), reason="the shape of the scores is unknown")


def test_queries_that_come_from_nowhere_cost_too_much():
    free = {
        "inputs": "float[b, c, d, 4, 8] q, float[b, c, d, 4, 8] k, float[b, c, d, 4, 8] v",
        "output": "float[b, c, 4, d, 8] y",
        "query": "qt = Transpose<perm = [0, 1, 3, 2, 4]>(q)",
        "key": "kt = Transpose<perm = [0, 1, 3, 4, 2]>(k)",
        "value": "vt = Transpose<perm = [0, 1, 3, 2, 4]>(v)",
        "result": "y = MatMul(p, vt)",
    }
    text = attention(**free)
    refuses(multi_head_attention, text, weights(text))


def test_portable_models_get_none():
    text = attention()
    reason = "the target portable does not run com.microsoft::MultiHeadAttention"
    refuses(multi_head_attention, text, weights(text), target="portable", reason=reason)


def test_float64_has_no_kernel():
    text = attention(inputs=PARTS["inputs"].replace("float[", "double["), output="double[b, s, 32] y")
    reason = "does not run com.microsoft::MultiHeadAttention on double"
    refuses(multi_head_attention, text, weights(text) | {"root": np.float64(8**-0.5)}, reason=reason)


# ---- rules that are wrong are caught ----


@pytest.mark.parametrize("wrong", [{"num_heads": 2}, {"scale": 0.3}, {"unidirectional": 1}])
def test_a_wrong_attention_is_caught(wrong):
    def forge(m, new):
        drafts = multi_head_attention.apply(m, new)
        next(draft for draft in new.drafts if draft.op == "MultiHeadAttention").attrs.update(wrong)
        return drafts

    text = attention()
    result = apply([rule(product, numerics=Close(64))(forge)], text, weights(text))
    assert [entry.rule for entry in result.report.rolled_back] == ["forge"]


APART = """agraph (float[2, 4, 5, 8] q, float[2, 4, 5, 8] k, {value} v) => ({result} y) {{
    kt = Transpose<perm = [0, 1, 3, 2]>(k) s = MatMul(q, kt) p = Softmax<axis = -1>(s) {last} }}"""


def test_not_where_heads_of_values_that_stand_apart_have_another_size():
    text = APART.format(value="float[2, 4, 5, 16]", result="float[2, 4, 5, 16]", last="y = MatMul(p, v)")
    refuses(multi_head_attention, text, reason="spread over too many dimensions")


def test_not_where_values_have_another_type():
    last = "n = Cast<to = 10>(p) y = MatMul(n, v)"
    text = APART.format(value="float16[2, 4, 5, 8]", result="float16[2, 4, 5, 8]", last=last)
    refuses(multi_head_attention, text, reason="different element types")


def test_unknown_many_heads_stay():
    text = attention(**FREE_HEADS)
    refuses(multi_head_attention, text, weights(text), reason="the number of heads is unknown")


def test_a_single_head_without_a_batch_is_left_alone():
    body = "kt = Transpose(k) s = MatMul(q, kt) t = Mul(s, root) p = Softmax<axis = -1>(t) y = MatMul(p, v)"
    text = f"g (float[n, 8] q, float[n, 8] k, float[n, 8] v) => (float[n, 8] y) {{ {body} }}"
    refuses(multi_head_attention, text, weights(text), reason="the scores have no batch")
