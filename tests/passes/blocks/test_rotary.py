"""Rotary embeddings that attention does itself."""

from __future__ import annotations

import numpy as np
import pytest

from passes.blocks import rotated_grouped_attention
from tests.support import fires, refuses

HEAD = '<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>'
ATTENTION = "com.microsoft.GroupQueryAttention<num_heads = 4, kv_num_heads = 2>"
BODY = (
    "qr = com.microsoft.RotaryEmbedding<num_heads = 4>(q, start, cos, sin)"
    " kr = com.microsoft.RotaryEmbedding<num_heads = 2>(k, start, cos, sin)"
    f" y, pk, pv = {ATTENTION}(qr, kr, v, , , lengths, total)"
)
ANGLES = np.outer(np.arange(6), 1 / 100 ** (np.arange(8) / 8)).astype(np.float32)
WEIGHTS = {
    "start": np.array([0]),
    "cos": np.cos(ANGLES),
    "sin": np.sin(ANGLES),
    "lengths": np.full(2, 5, np.int32),
    "total": np.array(6, np.int32),
}


def text(body: str) -> str:
    return f"{HEAD} g (float[2, 6, 64] q, float[2, 6, 32] k, float[2, 6, 32] v) => (float[2, 6, 64] y) {{ {body} }}"


@pytest.mark.parametrize("way", ["", ", interleaved = 1"])
def test_angles_from_the_first_position(way):
    body = BODY.replace("<num_heads = 4>(q", f"<num_heads = 4{way}>(q").replace("= 2>(k", f"= 2{way}>(k")
    model = fires(rotated_grouped_attention, text(body), WEIGHTS, leaves=["GroupQueryAttention"], target="cpu")
    assert model.graph.nodes[0].attrs["do_rotary"] == 1


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("(q, start, cos, sin)", "(q, start, sin, cos)", ""),
        ("<num_heads = 4>(q", "<num_heads = 4, interleaved = 1>(q", "different ways"),
        ("<num_heads = 2>(k", "<num_heads = 1>(k", "other numbers of heads"),
    ],
)
def test_other_angles_stay(old, new, reason):
    refuses(rotated_grouped_attention, text(BODY.replace(old, new)), WEIGHTS, reason=reason, target="cpu")


def test_later_positions_stay():
    later = WEIGHTS | {
        "start": np.array([2]),
        "cos": np.tile(WEIGHTS["cos"], (2, 1)),
        "sin": np.tile(WEIGHTS["sin"], (2, 1)),
    }
    refuses(rotated_grouped_attention, text(BODY), later, reason="do not start from 0", target="cpu")


def test_a_past_is_turned_already():
    past = "float[2, 2, 3, 16] past_key, float[2, 2, 3, 16] past_value"
    body = BODY.replace("v, , , lengths", "v, past_key, past_value, lengths")
    given = text(body).replace("[2, 6, 32] v)", f"[2, 6, 32] v, {past})")
    refuses(rotated_grouped_attention, given, WEIGHTS, reason="turned already", target="cpu")


def test_small_heads_stay():
    small = {name: WEIGHTS[name][:, :4].copy() for name in ("cos", "sin")}
    given = text(BODY).replace(", 64]", ", 32]").replace(", 32] k", ", 16] k").replace(", 32] v", ", 16] v")
    refuses(rotated_grouped_attention, given, WEIGHTS | small, reason="no multiple of 16", target="cpu")


def test_heads_that_are_turned_in_part_stay():
    small = {name: WEIGHTS[name][:, :4].copy() for name in ("cos", "sin")}
    body = BODY.replace("<num_heads = 4>(q", "<num_heads = 4, rotary_embedding_dim = 8>(q")
    body = body.replace("<num_heads = 2>(k", "<num_heads = 2, rotary_embedding_dim = 8>(k")
    refuses(rotated_grouped_attention, text(body), WEIGHTS | small, reason="a part of each head", target="cpu")
