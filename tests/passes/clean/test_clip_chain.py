import numpy as np
import pytest

from passes.clean import clip_chain
from tests.support import fires, refuses


def text(calls, dtype="float"):
    return f"m ({dtype}[N] x) => ({dtype}[N] y) {{ {calls} }}"


W = {"a": np.float32(-1), "b": np.float32(4), "c": np.float32(0), "d": np.float32(6)}


@pytest.mark.parametrize(
    ("calls", "bounds"),
    [
        ("p = Clip(x, a, b)  y = Clip(p, c, d)", [0, 4]),
        ("p = Clip(x, c, d)  y = Clip(p, a, b)", [0, 4]),
        ("p = Relu(x)  y = Clip(p, c, d)", [0, 6]),
        ("p = Relu(x)  y = Clip(p, , d)", [0, 6]),
        ("p = Clip(x, a, b)  y = Relu(p)", [0, 4]),
        ("p = Clip(x, a)  y = Clip(p, , d)", [-1, 6]),
        ("p = Clip(x, d)  y = Clip(p, a, b)", [4, 4]),
        ("p = Clip(x, b, b)  y = Clip(p, c, d)", [4, 4]),
    ],
)
def test_two_are_one(calls, bounds):
    model = fires(clip_chain, text(calls), W, leaves=["Clip"])
    assert [bound.values.item() for bound in model.graph.nodes[0].inputs[1:]] == bounds


def test_one_bound_is_left():
    model = fires(clip_chain, text("p = Relu(x)  y = Clip(p, a)"), W, leaves=["Clip"])
    assert [bound.values.item() for bound in model.graph.nodes[0].inputs[1:]] == [0]


def test_integers():
    weights = {name: value.astype(np.int32) for name, value in W.items()}
    fires(clip_chain, text("p = Clip(x, a, b)  y = Clip(p, c, d)", "int32"), weights, leaves=["Clip"])


def test_attributes():
    old = '<ir_version: 4, opset_import: ["" : 9]>'
    model = fires(clip_chain, old + text("p = Clip<min=-1.0>(x)  y = Clip<min=0.0, max=6.0>(p)"), leaves=["Clip"])
    assert model.graph.nodes[0].attrs == {"min": 0.0, "max": 6.0}


def test_bounds_are_inputs_from_opset_11_on():
    old = '<ir_version: 6, opset_import: ["" : 11]>'
    model = fires(clip_chain, old + text("p = Clip(x, a, b)  y = Clip(p, c, d)"), W, leaves=["Clip"])
    assert len(model.graph.nodes[0].inputs) == 3


def test_not_two_relus():
    refuses(clip_chain, text("p = Relu(x)  y = Relu(p)"), reason="neither")


def test_not_if_a_bound_is_an_input():
    refuses(
        clip_chain, "m (float[N] x, float a) => (float[N] y) { p = Relu(x)  y = Clip(p, a) }", reason="not a constant"
    )


def test_not_if_the_bounds_cross():
    refuses(clip_chain, text("p = Clip(x, b, a)  y = Clip(p, c, d)"), W, reason="wrong order")


@pytest.mark.parametrize("calls", ["p = Clip(x, , a)  y = Clip(p, c, d)", "p = Clip(x, b)  y = Clip(p, a, c)"])
def test_not_if_only_zero_is_left(calls):
    refuses(clip_chain, text(calls), W, reason="sign of a zero")


def test_not_if_the_first_is_returned():
    refuses(clip_chain, "m (float[N] x) => (float[N] y, float[N] p) { p = Relu(x)  y = Clip(p, c, d) }", W)


def test_not_of_an_unknown_type():
    model = """<ir_version: 10, opset_import: ["" : 21, "of.others" : 1]>
        m (float[N] x) => (float[N] y) { u = of.others.Unknown(x)  p = Relu(u)  y = Clip(p, c, d) }"""
    refuses(clip_chain, model, W, reason="the type is unknown")
