from __future__ import annotations

import numpy as np
import pytest

from passes.fuse.norm import rms_norm
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

MEAN = "q = Pow(x, 2.0) v = ReduceMean(q, {-1}) e = Add(v, 1e-6) "
STD = MEAN + "s = Sqrt(e) "
LLAMA = STD + "r = Reciprocal(s) n = Mul(x, r) y = Mul(gamma, n)"
SPELLINGS = [
    LLAMA,
    STD + "r = Div(1.0, s) n = Mul(x, r) y = Mul(n, gamma)",
    STD + "n = Div(x, s) y = Mul(n, gamma)",
    MEAN + "r = Pow(e, -0.5) n = Mul(x, r) y = Mul(n, gamma)",
    STD.replace("Pow(x, 2.0)", "Mul(x, x)") + "r = Reciprocal(s) w = Mul(r, gamma) y = Mul(x, w)",
    STD + "w = Mul(gamma, x) y = Div(w, s)",
]
BARE = STD + "y = Div(x, s)"
GAMMA = {"gamma": np.linspace(0.5, 2, 8, dtype=np.float32)}


def test_fires_on_every_spelling():
    fires(rms_norm, spelled(*SPELLINGS, opset=23), GAMMA, leaves={"RMSNormalization": len(SPELLINGS)})


def test_fires_on_half_precision():
    weights = {"gamma": GAMMA["gamma"].astype(np.float16)}
    text = spelled(*SPELLINGS, opset=23, x="float16[n, 3, 8]")
    fires(rms_norm, text, weights, leaves={"RMSNormalization": len(SPELLINGS)})


def test_fires_without_scale_and_takes_epsilon():
    model = fires(rms_norm, spelled(BARE.replace("1e-6", "0.5"), opset=23), leaves=["RMSNormalization"])
    assert model.graph.nodes[0].attrs == {"axis": -1, "epsilon": 0.5}


def test_fires_on_several_axes():
    text = spelled(LLAMA.replace("{-1}", "{1 2}"), opset=23)
    fires(rms_norm, text, {"gamma": (3, 8)}, leaves=["RMSNormalization"])


def test_fires_on_a_computed_scale():
    text = spelled("gamma = Add(w, 1.0) " + LLAMA, opset=23, more="float[8] w")
    fires(rms_norm, text, leaves=["RMSNormalization", "Add"])


def test_leaves_a_scale_of_another_shape_alone():
    fires(rms_norm, spelled(LLAMA, opset=23), {"gamma": (3, 8)}, leaves=["RMSNormalization", "Mul"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (spelled(BARE, opset=22), "needs opset 23"),
        (spelled(BARE.replace("{-1}", "{1}"), opset=23), "not go over the last axes"),
        (spelled(BARE, opset=23, x="double[n, 8]"), "precision"),
        (spelled(BARE, opset=23, x="float[n, k]"), "a constant of ones"),
        (spelled(BARE.replace("1e-6", "w"), opset=23, held="float[3, 1] w = {1.0, 2.0, 3.0}"), "not a single number"),
        (spelled(BARE.replace("Div(x", "Div(z"), opset=23, more="float[n, 3, 8] z"), ""),
        (spelled(BARE.replace("Pow(x, 2.0)", "Mul(x, z)"), opset=23, more="float[n, 3, 8] z"), ""),
        (spelled(BARE, opset=23).replace("8] y)", "8] y, float[n, 3, 1] s)"), ""),
    ],
)
def test_refuses(text, reason):
    refuses(rms_norm, text, reason=reason)
