import numpy as np
import pytest

from passes.fuse.linear import add_conv, scaling
from tests.support import fires, refuses


def model(first, conv="Conv (z, w, b)", image="3,8,9"):
    return f"agraph (float[N,{image}] x) => (float[N,M,H,W] y) {{ z = {first} y = {conv} }}"


WEIGHTS = {"w": (4, 3, 3, 3), "b": (4,)}


@pytest.mark.parametrize("shape", [(1,), (1, 1, 1, 1), (3, 1, 1), (1, 3, 1, 1)])
@pytest.mark.parametrize("first", ["Add (x, c)", "Add (c, x)", "Sub (x, c)"])
def test_every_constant_that_is_one_number_for_each_channel(first, shape):
    fires(add_conv, model(first), {**WEIGHTS, "c": shape}, leaves=["Conv"])


def test_groups_without_a_bias():
    text = model("Add (x, c)", "Conv <group = 2, strides = [2,2]> (z, w)", "6,8,9")
    fires(add_conv, text, {"w": (4, 3, 3, 3), "c": (6, 1, 1)}, leaves=["Conv"])


def test_refuses_weights_whose_folding_would_fill_the_memory(monkeypatch):
    monkeypatch.setattr(scaling, "LARGEST", 4 * 3 * 3 * 3 * 4 - 1)
    refuses(add_conv, model("Add (x, c)"), {**WEIGHTS, "c": (3, 1, 1)}, reason="too much memory")


@pytest.mark.parametrize("attrs", ["pads = [0,0,0,1]", 'auto_pad = "SAME_UPPER"'])
def test_refuses_padding(attrs):
    refuses(add_conv, model("Add (x, c)", f"Conv <{attrs}> (z, w)"), {"w": (4, 3, 3, 3), "c": (3, 1, 1)}, reason="pads")


def test_nothing_added_may_be_padded():
    text = model("Add (x, c)", "Conv <pads = [1,1,1,1]> (z, w)")
    fires(add_conv, text, {"w": (4, 3, 3, 3), "c": np.zeros((3, 1, 1), np.float32)}, leaves=["Conv"])


def test_refuses_a_transposed_conv():
    refuses(
        add_conv, model("Add (x, c)", "ConvTranspose (z, w)"), {"w": (3, 4, 3, 3), "c": (3, 1, 1)}, reason="borders"
    )


def test_refuses_a_grey_picture_that_the_constant_makes_coloured():
    refuses(add_conv, model("Add (x, c)", image="1,8,9"), {**WEIGHTS, "c": (3, 1, 1)}, reason="3 channels")


@pytest.mark.parametrize(("shape", "reason"), [((9,), "along axis 3"), ((8, 1), "along axis 2")])
def test_refuses_other_constants(shape, reason):
    refuses(add_conv, model("Add (x, c)"), {**WEIGHTS, "c": shape}, reason=reason)


def test_refuses_the_difference_from_a_constant():
    refuses(add_conv, model("Sub (c, x)"), {**WEIGHTS, "c": (3, 1, 1)})


def test_weights_stay_shared():
    text = """agraph (float[N,64,8,8] x) => (float[N,64,8,8] y) {
      z = Add (x, c)
      a = Conv (z, w)
      y = Conv (a, w)
    }"""
    left = fires(add_conv, text, {"w": (64, 64, 1, 1), "c": (64, 1, 1)}, leaves=["Conv", "Conv"])
    assert left.graph.nodes[0].inputs[1] is left.graph.nodes[1].inputs[1]
