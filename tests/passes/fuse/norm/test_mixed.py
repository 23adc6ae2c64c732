from __future__ import annotations

import numpy as np
import pytest

from passes.fuse.norm import layer_norm_mixed, rms_norm_mixed
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

HELD = "float eps = {1e-5}, float two = {2.0}"
TAIL = "q = Pow(d, two) v = ReduceMean(q, {-1}) e = Add(v, eps) s = Sqrt(e) n = Div(d, s) "
EARLY = "w = Cast<to=1>(x) m = ReduceMean(w, {-1}) d = Sub(w, m) " + TAIL
LATE = "m = ReduceMean(x, {-1}) a = Sub(x, m) d = Cast<to=1>(a) " + TAIL
AFFINE = "t = Cast<to=10>(n) g = Mul(t, gamma) y = Add(g, beta)"
RMS = "d = Cast<to=1>(x) " + TAIL + "t = Cast<to=10>(n) y = Mul(gamma, t)"
WEIGHTS = {"gamma": np.linspace(0.5, 2, 8, dtype=np.float16), "beta": np.linspace(-1, 1, 8, dtype=np.float16)}


def model(*bodies: str, opset: int = 23, x: str = "float16[n, 8]", **more: str) -> str:
    return spelled(*bodies, x=x, opset=opset, held=HELD, **more)


def test_layer_norm_fires_on_every_spelling():
    bodies = [
        EARLY + AFFINE,
        LATE + AFFINE,
        EARLY + "t = Cast<to=10>(n) y = Mul(t, gamma)",
        EARLY + "t = Cast<to=10>(n) y = Add(t, beta)",
        LATE + "y = Cast<to=10>(n)",
    ]
    fires(layer_norm_mixed, model(*bodies), WEIGHTS, leaves={"LayerNormalization": 5})


def test_layer_norm_fires_since_opset_17():
    body = EARLY.replace("(q, {-1})", "<axes=[-1]>(q)").replace("(w, {-1})", "<axes=[-1]>(w)")
    fires(layer_norm_mixed, model(body + AFFINE, opset=17), WEIGHTS, leaves=["LayerNormalization"])


def test_rms_norm_fires_on_every_spelling():
    twice = RMS.replace("Div(d, s)", "Div(d2, s)").replace("q = ", "d2 = Cast<to=1>(x) q = ")
    bare = "d = Cast<to=1>(x) " + TAIL + "y = Cast<to=10>(n)"
    fires(rms_norm_mixed, model(RMS, twice, bare), WEIGHTS, leaves={"RMSNormalization": 3})


def test_the_wide_input_may_be_used_elsewhere():
    body = RMS.replace("y = Mul(gamma, t)", "z = Mul(gamma, t) u = Neg(d) k = Cast<to=10>(u) y = Add(z, k)")
    fires(rms_norm_mixed, model(body), WEIGHTS, leaves=["RMSNormalization", "Cast", "Neg", "Cast", "Add"])


@pytest.mark.parametrize(("rule", "body"), [(layer_norm_mixed, EARLY + AFFINE), (rms_norm_mixed, RMS)])
def test_refuse_another_result_type(rule, body):
    other = body.replace("to=10", "to=11").replace("gamma", "scale").replace("beta", "bias")
    refuses(rule, model(other, y="double[n, 8]", more="double[8] scale, double[8] bias"), reason="another dtype")


@pytest.mark.parametrize(("rule", "body"), [(layer_norm_mixed, EARLY + AFFINE), (rms_norm_mixed, RMS)])
def test_refuse_statistics_in_double(rule, body):
    text = spelled(body.replace("to=1>", "to=11>"), x="float16[n, 8]", opset=23, held=HELD.replace("float ", "double "))
    refuses(rule, text, WEIGHTS, reason="not computed in float32")


def test_refuse_low_opsets():
    refuses(rms_norm_mixed, model(RMS, opset=22), WEIGHTS, reason="needs opset 23")


def test_refuse_a_narrow_result_returned():
    text = model(RMS).replace("8] y)", "8] y, float16[n, 8] t)")
    fires(rms_norm_mixed, text, WEIGHTS, leaves=["RMSNormalization", "Mul"])
