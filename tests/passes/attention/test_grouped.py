"""Causal attention whose heads share keys and values."""

from __future__ import annotations

import numpy as np
import pytest

from passes.attention import grouped_attention, multi_head_attention
from tests.passes.attention.spelling import FREE_HEADS, attention, weights
from tests.support import apply, fires, operators, refuses

PASS = [grouped_attention, multi_head_attention, "clean"]
COUNT = "n1 = Shape<start = 1, end = 2>(q) n = Squeeze(n1) r = Range(i0, n, i1) down = Unsqueeze(r, i1v) "
CAUSAL = f"{COUNT} c = LessOrEqual(r, down) scores = Where(c, plain, lowest)"
FREE = {
    "inputs": "float[b, s, 32] q, float[b, s, 16] k, float[b, s, 16] v",
    "key": "k4 = Reshape(k, fewer) ks = Transpose<perm = [0, 2, 1, 3]>(k4) k5 = Unsqueeze(ks, i2)"
    " kb = Shape<start = 0, end = 1>(q) kn = Shape<start = 1, end = 2>(q) e = Concat<axis = 0>(kb, two, two, kn, eight)"
    " ke = Expand(k5, e) kr = Reshape(ke, more)"
    " kt = Transpose<perm = [0, 1, 3, 2]>(kr)",
    "value": "v4 = Reshape(v, fewer) vs = Transpose<perm = [0, 2, 1, 3]>(v4) v5 = Unsqueeze(vs, i2)"
    " ve = Expand(v5, e) vt = Reshape(ve, more)",
    "scores": "plain = MatMul(qs, kt)",
    "added": CAUSAL,
}
FIXED = FREE | {
    "inputs": "float[2, 5, 32] q, float[2, 5, 16] k, float[2, 5, 16] v",
    "output": "float[2, 5, 32] y",
    "key": FREE["key"].replace(", e)", ", whole)"),
    "value": FREE["value"].replace("Expand(v5, e)", "Expand(v5, whole)"),
    "added": "scores = Add(plain, later)",
}
SHAPES = {
    "fewer": np.array([0, 0, 2, 8]),
    "two": np.array([2]),
    "eight": np.array([8]),
    "whole": np.array([2, 2, 2, 5, 8]),
    "more": np.array([0, 4, -1, 8]),
    "later": np.triu(np.full((1, 1, 5, 5), np.finfo(np.float32).min, np.float32), 1),
    "i0": np.int64(0),
    "i1": np.int64(1),
    "i1v": np.array([1]),
    "i2": np.array([2]),
}


def test_heads_that_share_keys_and_values():
    text = attention(**FIXED)
    model = fires(PASS, text, weights(text, **SHAPES), leaves=["GroupQueryAttention"], target="cpu")
    (node,) = model.graph.nodes
    assert (node.attrs["num_heads"], node.attrs["kv_num_heads"]) == (4, 2)
    assert [tensor.name for tensor in node.inputs[:3]] == ["q", "k", "v"]
    assert len(node.outputs) == 3


def test_a_free_batch_and_sequence():
    text = attention(**FREE)
    model = apply([*PASS, "fold", "clean"], text, weights(text, **SHAPES), target="cpu").model
    assert operators(model)["GroupQueryAttention"] == 1
    assert operators(model)["Softmax"] == 0


def test_a_free_sequence_alone():
    text = attention(**FREE).replace("[b, s,", "[2, s,")
    model = apply([*PASS, "fold", "clean"], text, weights(text, **SHAPES), target="cpu").model
    assert operators(model)["GroupQueryAttention"] == 1


@pytest.mark.parametrize("opset", [14, 15])
def test_keys_are_counted_by_parts_of_a_shape(opset):
    text = attention(**FREE, opset=f'["" : {opset}]')
    for name, at in (("kb", "<start = 0, end = 1>"), ("kn", "<start = 1, end = 2>"), ("n1", "<start = 1, end = 2>")):
        index = "nil" if "0" in at else "i1v"
        text = text.replace(f"{name} = Shape{at}(q)", f"s{name} = Shape(q) {name} = Gather(s{name}, {index})")
    given = weights(text, **SHAPES, nil=np.array([0]))
    if opset == 14:
        refuses(grouped_attention, text, given, reason="before opset 15 it takes more to count", target="cpu")
    else:
        model = apply([grouped_attention, "clean"], text, given, target="cpu").model
        assert operators(model)["GroupQueryAttention"] == 1


def test_values_wider_than_keys_stay():
    wider = {
        "inputs": "float[2, 5, 32] q, float[2, 5, 16] k, float[2, 5, 32] v",
        "output": "float[2, 5, 64] y",
        "value": "v4 = Reshape(v, fewer2) vs = Transpose<perm = [0, 2, 1, 3]>(v4) v5 = Unsqueeze(vs, i2)"
        " ve = Expand(v5, whole2) vt = Reshape(ve, more2)",
    }
    text = attention(**FIXED | wider).replace("together", "wide")
    shapes = {"fewer2": [0, 0, 2, 16], "whole2": [2, 2, 2, 5, 16], "more2": [0, 4, -1, 16], "wide": [0, 0, 64]}
    given = weights(text, **SHAPES, **{name: np.array(shape) for name, shape in shapes.items()})
    refuses(grouped_attention, text, given, reason="keys and values have different sizes", target="cpu")


def test_half_precision():
    text = attention(**FIXED).replace("float[", "float16[")
    later = np.triu(np.full((1, 1, 5, 5), -np.inf, np.float16), 1)
    shapes = weights(text, **SHAPES | {"later": later})
    halves = {name: np.asarray(one).astype(np.float16) for name, one in shapes.items() if np.ndim(one) != 1}
    fires([grouped_attention, "clean"], text, shapes | halves, leaves=["GroupQueryAttention"], target="cuda")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"added": "scores = Identity(plain)"}, "later keys"),
        ({"added": "scores = Add(plain, bias)"}, "later keys"),
    ],
)
def test_what_does_not_hide_later_keys_stays(more, reason):
    text = attention(**FIXED | more)
    constants = weights(text, **SHAPES, bias=np.ones((1, 1, 5, 5), np.float32))
    refuses(grouped_attention, text, constants, reason=reason, target="cpu")


def test_heads_with_keys_of_their_own_stay():
    text = attention(inputs="float[2, 5, 32] q, float[2, 5, 32] k, float[2, 5, 32] v", output="float[2, 5, 32] y",
                     scores="plain = MatMul(qs, kt)", added="scores = Add(plain, later)")  # fmt: skip
    refuses(grouped_attention, text, weights(text, **SHAPES), reason="of its own", target="cpu")


def test_the_target_must_have_the_operator():
    text = attention(**FIXED)
    refuses(grouped_attention, text, weights(text, **SHAPES), reason="does not run com.microsoft::GroupQueryAttention")


def test_unknown_many_heads_stay():
    text = attention(**FREE_HEADS)
    refuses(grouped_attention, text, weights(text), reason="the number of heads is unknown", target="cpu")
