from __future__ import annotations

from passes.canonical.cast_like import cast_like
from tests.support import apply, fires


def test_only_the_type_is_taken():
    text = "agraph (float[N] x, float16[M] h) => (float16[N] y) { y = CastLike(x, h) }"
    model = fires(cast_like, text, leaves=["Cast"])
    assert [tensor.name for tensor in model.graph.inputs] == ["x", "h"]
    assert model.graph.nodes[0].attrs["to"] == 10


def test_saturation_is_kept():
    text = """agraph (float[N] x, float8e4m3fn[M] h) => (float[N] y) {
        a = CastLike<saturate = 0>(x, h)
        y = Cast<to = 1>(a)
    }"""
    model = fires(cast_like, text, leaves=["Cast", "Cast"])
    assert model.graph.nodes[0].attrs["saturate"] == 0


def test_the_way_of_rounding_is_kept():
    text = """<ir_version: 13, opset_import: ["" : 24]> agraph (float[N] x, float8e8m0[M] h) => (float[N] y) {
        a = CastLike<round_mode = "up">(x, h)
        y = Cast<to = 1>(a)
    }"""
    nodes = apply(cast_like, text).model.graph.nodes
    assert [(node.op, node.attrs.get("round_mode")) for node in nodes] == [("Cast", "up"), ("Cast", None)]
