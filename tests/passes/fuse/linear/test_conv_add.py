import numpy as np
import pytest

from passes.fuse.linear import conv_add
from tests.support import fires, refuses


def model(tail, conv="Conv (x, w, b)", result="N,4,8,8", dtype="float"):
    return f"agraph ({dtype}[N,6,8,8] x) => ({dtype}[{result}] y) {{ z = {conv} y = {tail} }}"


WEIGHTS = {"w": (4, 6, 1, 1), "b": (4,)}


@pytest.mark.parametrize("shape", [(1,), (1, 1, 1, 1), (4, 1, 1), (1, 4, 1, 1)])
@pytest.mark.parametrize("tail", ["Add (z, c)", "Add (c, z)", "Sub (z, c)"])
@pytest.mark.parametrize("conv", ["Conv (x, w, b)", "Conv (x, w)"])
def test_every_constant_that_is_one_number_for_each_channel(tail, shape, conv):
    weights = {**WEIGHTS, "c": shape}
    weights = weights if "b" in conv else {k: v for k, v in weights.items() if k != "b"}
    left = fires(conv_add, model(tail, conv), weights, leaves=["Conv"])
    assert left.graph.nodes[0].inputs[2].shape == (4,)


def test_transposed_and_grouped():
    conv = "ConvTranspose <group = 3> (x, w)"
    fires(
        conv_add, model("Add (z, c)", conv, "N,12,H,W"), {"w": (6, 4, 3, 3), "c": (12, 1, 1)}, leaves=["ConvTranspose"]
    )


def test_weights_may_be_computed_at_run_time():
    text = "agraph (float[N,6,8,8] x, float[4,6,1,1] w) => (float[N,4,8,8] y) { z = Conv (x, w) y = Add (z, c) }"
    fires(conv_add, text, {"c": (4, 1, 1)}, leaves=["Conv"])


def test_weights_are_not_looked_at_and_stay_shared():
    text = """agraph (float[N,64,8,8] x) => (float[N,64,8,8] y, float[N,64,8,8] u) {
      z = Conv (x, w)
      y = Add (z, c)
      u = Conv (y, w)
    }"""
    left = fires(conv_add, text, {"w": (64, 64, 1, 1), "c": (64, 1, 1)}, leaves=["Conv", "Conv"])
    assert left.graph.nodes[0].inputs[1] is left.graph.nodes[1].inputs[1]


@pytest.mark.parametrize(
    ("shape", "result", "reason"),
    [
        ((8,), "N,4,8,8", "along axis 3"),
        ((8, 1), "N,4,8,8", "along axis 2"),
        ((3, 1, 1, 1), "3,4,8,8", "along axis 0"),
        ((1, 1, 1, 1, 1), "1,N,4,8,8", "more dimensions"),
    ],
)
def test_refuses_other_constants(shape, result, reason):
    refuses(conv_add, model("Add (z, c)", result=result), {**WEIGHTS, "c": shape}, reason=reason)


def test_refuses_a_width_vector_as_long_as_the_channels():
    text = "agraph (float[N,6,8,4] x) => (float[N,4,8,4] y) { z = Conv (x, w) y = Add (z, c) }"
    refuses(conv_add, text, {"w": (4, 6, 1, 1), "c": (4,)}, reason="along axis 3")


def test_refuses_a_residual():
    text = "agraph (float[N,6,8,8] x, float[N,4,8,8] c) => (float[N,4,8,8] y) { z = Conv (x, w) y = Add (z, c) }"
    refuses(conv_add, text, {"w": (4, 6, 1, 1)})


def test_refuses_the_difference_from_a_constant():
    refuses(conv_add, model("Sub (c, z)"), {**WEIGHTS, "c": (4, 1, 1)})


def test_refuses_a_graph_output_between():
    text = """agraph (float[N,6,8,8] x) => (float[N,4,8,8] y, float[N,4,8,8] z) {
      z = Conv (x, w)
      y = Add (z, c)
    }"""
    refuses(conv_add, text, {"w": (4, 6, 1, 1), "c": (4, 1, 1)})


def test_half_precision():
    rng = np.random.default_rng(0)
    given = {name: rng.standard_normal(shape).astype(np.float16) for name, shape in {**WEIGHTS, "c": (4, 1, 1)}.items()}
    fires(conv_add, model("Add (z, c)", dtype="float16"), given, leaves=["Conv"])


def test_refuses_half_precision_that_overflows():
    given = {
        "w": np.ones((4, 6, 1, 1), np.float16),
        "b": np.full(4, 6e4, np.float16),
        "c": np.full((4, 1, 1), 6e4, np.float16),
    }
    refuses(conv_add, model("Add (z, c)", dtype="float16"), given, reason="do not fit float16")
