from __future__ import annotations

import numpy as np
import pytest

from passes.fuse.norm import layer_norm
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

D = "m = ReduceMean(x, {-1}) d = Sub(x, m) "
VAR = D + "q = Pow(d, 2.0) v = ReduceMean(q, {-1}) e = Add(v, 1e-5) "
STD = VAR + "s = Sqrt(e) "
PYTORCH = STD + "n = Div(d, s) g = Mul(n, gamma) y = Add(g, beta)"
TWICE = "m2 = ReduceMean(x, {-1}) d2 = Sub(x, m2) q = Mul(d2, d2) v = ReduceMean(q, {-1}) e = Add(v, 1e-5) s = Sqrt(e) "
RATE = VAR.replace("Pow(d, 2.0)", "Mul(d, d)") + "s = Sqrt(e) r = Reciprocal(s) "
SPELLINGS = [
    PYTORCH,
    STD.replace("(x, {-1})", "(x, {2})") + "n = Div(d, s) g = Mul(gamma, n) y = Add(beta, g)",
    D + TWICE + "n = Div(d, s) g = Mul(n, gamma) y = Add(g, beta)",
    STD + "r = Reciprocal(s) n = Mul(d, r) g = Mul(n, gamma) y = Add(g, beta)",
    STD + "r = Div(1.0, s) n = Mul(r, d) g = Mul(n, gamma) y = Add(g, beta)",
    VAR + "r = Pow(e, -0.5) n = Mul(d, r) g = Mul(n, gamma) y = Add(g, beta)",
    VAR + "s = Pow(e, 0.5) n = Div(d, s) g = Mul(n, gamma) y = Add(g, beta)",
    RATE + "w = Mul(r, gamma) g = Mul(d, w) y = Add(g, beta)",
    STD + "w = Mul(gamma, d) g = Div(w, s) y = Add(g, beta)",
    RATE + "w = Mul(r, gamma) a = Mul(x, w) b = Mul(m, w) c = Sub(beta, b) y = Add(a, c)",
]
WITHOUT_BIAS = [
    STD + "n = Div(d, s) y = Mul(n, gamma)",
    RATE + "w = Mul(r, gamma) a = Mul(x, w) b = Mul(m, w) y = Sub(a, b)",
]
BARE = [STD + "y = Div(d, s)", RATE + "a = Mul(x, r) b = Mul(m, r) y = Sub(a, b)"]
WEIGHTS = {"gamma": np.linspace(0.5, 2, 8, dtype=np.float32), "beta": np.linspace(-1, 1, 8, dtype=np.float32)}
HALF = {name: value.astype(np.float16) for name, value in WEIGHTS.items()}


def test_fires_on_every_spelling():
    fires(layer_norm, spelled(*SPELLINGS), WEIGHTS, leaves={"LayerNormalization": len(SPELLINGS)})


def test_fires_on_half_precision():
    fires(layer_norm, spelled(*SPELLINGS, x="float16[n, 3, 8]"), HALF, leaves={"LayerNormalization": len(SPELLINGS)})


def test_fires_without_bias():
    fires(layer_norm, spelled(*WITHOUT_BIAS), WEIGHTS, leaves={"LayerNormalization": 2})


def test_fires_without_scale():
    fires(layer_norm, spelled(*BARE), leaves={"LayerNormalization": 2})


def test_fires_on_a_bias_without_scale():
    fires(layer_norm, spelled(STD + "n = Div(d, s) y = Add(n, beta)"), WEIGHTS, leaves=["LayerNormalization"])


def test_takes_epsilon_and_axis():
    model = fires(layer_norm, spelled(PYTORCH.replace("1e-5", "0.25"), rank=1), WEIGHTS, leaves=["LayerNormalization"])
    assert model.graph.nodes[0].attrs == {"axis": -1, "epsilon": 0.25}


def test_fires_on_axes_as_attribute():
    body = PYTORCH.replace("ReduceMean(x, {-1})", "ReduceMean<axes=[-1]>(x)").replace(
        "ReduceMean(q, {-1})", "ReduceMean<axes=[2], keepdims=1>(q)"
    )
    fires(layer_norm, spelled(body, opset=17), WEIGHTS, leaves=["LayerNormalization"])


def test_fires_on_several_axes():
    weights = {"gamma": (3, 8), "beta": (3, 8)}
    model = fires(layer_norm, spelled(PYTORCH.replace("{-1}", "{-1 1}")), weights, leaves=["LayerNormalization"])
    assert model.graph.nodes[0].attrs["axis"] == -2


def test_fires_on_all_axes():
    body = (STD + "y = Div(d, s)").replace(", {-1}", "")
    model = fires(layer_norm, spelled(body, x="float[3, 8]"), leaves=["LayerNormalization"])
    assert model.graph.nodes[0].attrs["axis"] == -2


def test_cuts_leading_ones_off_constants():
    weights = {"gamma": (1, 1, 8), "beta": (1, 8)}
    model = fires(layer_norm, spelled(PYTORCH), weights, leaves=["LayerNormalization"])
    assert [t.shape for t in model.graph.nodes[0].inputs[1:]] == [(8,), (8,)]


def test_fires_on_computed_scale():
    more = "float[8] gamma, float[8] beta"
    fires(layer_norm, spelled(PYTORCH, more=more), leaves=["LayerNormalization"])


@pytest.mark.parametrize("shape", [(1,), (3, 1), (3, 8), ()])
def test_leaves_a_scale_of_another_shape_alone(shape):
    weights = {"gamma": np.ones(shape, np.float32), "beta": WEIGHTS["beta"]}
    fires(layer_norm, spelled(PYTORCH), weights, leaves=["LayerNormalization", "Mul", "Add"])


def test_leaves_a_residual_alone():
    body = PYTORCH.replace("beta", "z")
    fires(layer_norm, spelled(body, more="float[n, 3, 8] z"), WEIGHTS, leaves=["LayerNormalization", "Add"])


def test_refuses_before_opset_17():
    body = PYTORCH.replace("ReduceMean(x, {-1})", "ReduceMean<axes=[-1]>(x)").replace(
        "ReduceMean(q, {-1})", "ReduceMean<axes=[-1]>(q)"
    )
    refuses(layer_norm, spelled(body, opset=13), WEIGHTS, reason="needs opset 17")


def test_refuses_axes_that_are_not_the_last():
    body = STD.replace("{-1}", "{1}") + "y = Div(d, s)"
    refuses(layer_norm, spelled(body), reason="not go over the last axes")


def test_refuses_different_axes():
    refuses(layer_norm, spelled(STD.replace("q, {-1}", "q, {1 2}") + "y = Div(d, s)"), reason="different axes")


def test_refuses_unknown_axes():
    body = (STD + "y = Div(d, s)").replace("{-1}", "axes")
    refuses(layer_norm, spelled(body, more="int64[1] axes"), reason="are unknown")


def test_refuses_reductions_of_nothing():
    body = (STD + "y = Div(d, s)").replace("ReduceMean(", "ReduceMean<noop_with_empty_axes=1>(").replace(", {-1}", "")
    refuses(layer_norm, spelled(body), reason="reduces nothing")


def test_refuses_dropped_dimensions():
    body = (STD + "y = Div(d, s)").replace("ReduceMean(", "ReduceMean<keepdims=0>(")
    refuses(layer_norm, spelled(body, x="float[8, 8]"), reason="drops its dimensions")


def test_refuses_double_whose_precision_it_would_lose():
    refuses(layer_norm, spelled(PYTORCH, x="double[n, 8]", more="double[8] gamma, double[8] beta"), reason="precision")


def test_refuses_an_epsilon_for_each_row():
    body = (STD + "y = Div(d, s)").replace("1e-5", "eps")
    refuses(layer_norm, spelled(body, held="float[3, 1] eps = {1.0, 2.0, 3.0}"), reason="not a single number")


def test_refuses_an_epsilon_with_more_dimensions():
    body = (STD + "y = Div(d, s)").replace("1e-5", "eps")
    held = "float[1, 1, 1] eps = {1.0}"
    refuses(layer_norm, spelled(body, x="float[3, 8]", held=held, y="float[1, 3, 8]"), reason="has not the shape")


def test_refuses_an_unknown_rank():
    body = "z = Reshape(x, shape) " + STD.replace("(x, ", "(z, ") + "y = Div(d, s)"
    refuses(layer_norm, spelled(body, more="int64[k] shape"), reason="no dimensions, or unknown many")


def test_refuses_ones_of_unknown_shape():
    refuses(layer_norm, spelled(BARE[0], x="float[n, k]"), reason="a constant of ones")
    refuses(layer_norm, spelled(BARE[0], x="float[n, 5000]"), reason="a constant of ones")


def test_refuses_a_mean_of_something_else():
    body = (STD + "y = Div(d, s)").replace("Sub(x, m)", "Sub(z, m)")
    refuses(layer_norm, spelled(body, more="float[n, 3, 8] z"))


def test_refuses_another_power():
    refuses(layer_norm, spelled((STD + "y = Div(d, s)").replace("Pow(d, 2.0)", "Pow(d, 3.0)")))


def test_refuses_two_different_scales():
    body = RATE + "w = Mul(r, gamma) a = Mul(x, w) b = Mul(m, r) c = Sub(beta, b) y = Add(a, c)"
    refuses(layer_norm, spelled(body), WEIGHTS)


def test_refuses_statistics_used_elsewhere_or_returned():
    refuses(layer_norm, spelled(STD + "n = Div(d, s) y = Add(n, m)"))
    text = spelled(BARE[0]).replace("8] y)", "8] y, float[n, 3, 1] v)")
    refuses(layer_norm, text)
