from __future__ import annotations

import numpy as np
import pytest

from passes.fuse.activation import clip, leaky_relu, prelu, relu
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

RELU = ["y = Max(x, 0.0)", "y = Max(0.0, x)", "y = Clip(x, 0.0)"]
LEAKY = [
    "m = Mul(x, 0.1) y = Max(x, m)",
    "m = Mul(0.1, x) y = Max(m, x)",
    "m = Mul(x, 0.1) c = Greater(x, 0.0) y = Where(c, x, m)",
    "m = Mul(x, 0.1) c = GreaterOrEqual(x, 0.0) y = Where(c, x, m)",
    "m = Mul(x, 0.1) c = Less(x, 0.0) y = Where(c, m, x)",
]
KERAS = "r = Relu(x) n = Neg(x) q = Relu(n) m = Mul(q, w) y = Add(r, m)"
PRELU = [
    KERAS,
    "r = Relu(x) n = Neg(x) q = Relu(n) m = Mul(w, q) y = Sub(r, m)",
    "r = Relu(x) b = Abs(x) s = Sub(x, b) m = Mul(w, s) h = Mul(m, 0.5) y = Add(r, h)",
    "r = Relu(x) b = Abs(x) s = Sub(x, b) m = Mul(s, w) y = Add(r, m)",
    "r = Max(x, 0.0) l = Min(x, 0.0) m = Mul(l, w) y = Add(m, r)",
]
CLIP = ["a = Max(x, -1.0) y = Min(a, 2.0)", "a = Min(2.0, x) y = Max(-1.0, a)"]
SLOPES = {"w": np.array([0.1, -0.5], np.float32)}


def test_fire_on_every_spelling():
    fires(relu, spelled(*RELU), leaves={"Relu": 3})
    fires(leaky_relu, spelled(*LEAKY), leaves={"LeakyRelu": 5})
    fires(prelu, spelled(*PRELU, x="float[n, 3, 2]"), SLOPES, leaves={"PRelu": len(PRELU)})
    fires(clip, spelled(*CLIP), leaves={"Clip": 2})


def test_fire_on_half_precision():
    fires(relu, spelled(*RELU, x="float16[n, 8]"), leaves={"Relu": 3})
    fires(leaky_relu, spelled(*LEAKY, x="float16[n, 8]"), leaves={"LeakyRelu": 5})
    slopes = {"w": np.array([0.1, -0.5], np.float16)}
    fires(prelu, spelled(*PRELU, x="float16[n, 2]"), slopes, leaves={"PRelu": len(PRELU)})
    fires(clip, spelled(*CLIP, x="float16[n, 8]"), leaves={"Clip": 2})


def test_fire_on_double():
    fires(relu, spelled(*RELU, x="double[n, 8]"), leaves={"Relu": 3})
    fires(clip, spelled(*CLIP, x="double[n, 8]"), leaves={"Clip": 2})


def test_fire_in_old_opsets():
    fires(relu, spelled("y = Clip<min=0.0>(x)", opset=8), leaves=["Relu"])
    fires(relu, spelled("y = Clip<min=0.0, max=3.4028234663852886e38>(x)", opset=8), leaves=["Relu"])
    fires(clip, spelled(CLIP[0], opset=8), leaves=["Clip"])
    fires(clip, spelled(CLIP[0], opset=11), leaves=["Clip"])
    fires(clip, spelled(CLIP[0], x="double[n, 8]", opset=12), leaves=["Clip"])


def test_relu_refuses():
    refuses(relu, spelled("y = Max(x, 0.1)"))
    refuses(relu, spelled("y = Max(x, 0.0, z)", more="float[n, 3, 8] z"))
    refuses(relu, spelled("y = Clip(x, 0.0, 6.0)"))
    refuses(relu, spelled("y = Clip<min=0.0, max=6.0>(x)", opset=8))
    refuses(relu, spelled("y = Max(x, 0.0)", x="float[8]", rank=2, y="float[1, 8]"), reason="more dimensions")
    refuses(relu, spelled("y = Max(x, w)", x="int32[8]", held="int32 w = {0}"), reason="not floating")


def test_leaky_relu_refuses():
    refuses(leaky_relu, spelled(LEAKY[0].replace("0.1", "1.5")), reason="is no LeakyRelu")
    refuses(leaky_relu, spelled(LEAKY[0].replace("0.1", "-0.1")), reason="is no LeakyRelu")
    refuses(leaky_relu, spelled(LEAKY[0].replace("0.1", "w"), x="float[n, 2]"), SLOPES, reason="not a single number")
    refuses(leaky_relu, spelled(LEAKY[0], x="double[n, 2]"), reason="no kernel")
    refuses(leaky_relu, spelled(LEAKY[0], x="float[8]", rank=2, y="float[1, 8]"), reason="more dimensions")
    refuses(leaky_relu, spelled(LEAKY[2].replace("Where(c, x, m)", "Where(c, m, x)")))
    refuses(leaky_relu, spelled(LEAKY[2].replace("0.0", "1.0")))
    refuses(leaky_relu, spelled(LEAKY[0].replace("Mul(x", "Mul(z"), more="float[n, 3, 8] z"))
    refuses(leaky_relu, spelled(LEAKY[0]).replace("8] y)", "8] y, float[n, 3, 8] m)"))


@pytest.mark.parametrize("slope", ["1.5", "-0.5"])
def test_leaky_relu_takes_any_slope_where_the_sign_chooses(slope):
    fires(leaky_relu, spelled(LEAKY[2].replace("0.1", slope)), leaves=["LeakyRelu"])


def test_prelu_with_one_slope_is_leaky():
    fires(prelu, spelled(KERAS), {"w": np.array([0.25], np.float32)}, leaves=["LeakyRelu"])


def test_prelu_fires_on_slopes_for_each_channel():
    fires(prelu, spelled(*PRELU, x="float[n, 2, 5]"), {"w": SLOPES["w"][:, None]}, leaves={"PRelu": len(PRELU)})


def test_prelu_refuses():
    refuses(
        prelu,
        spelled(KERAS, x="float[2]", y="float[3, 2]"),
        {"w": np.ones((3, 2), np.float32)},
        reason="do not broadcast",
    )
    refuses(prelu, spelled(KERAS, x="float[n, 1]", y="float[n, 2]"), SLOPES, reason="do not broadcast")
    refuses(prelu, spelled(KERAS, x="float[n, k]", y="float[n, m]"), SLOPES, reason="do not broadcast")
    refuses(prelu, spelled(KERAS.replace("Relu(n)", "Relu(x)"), x="float[n, 2]"), SLOPES)
    refuses(prelu, spelled(KERAS, x="double[n, 2]"), {"w": np.array([0.1, -0.5])}, reason="no kernel")
    refuses(prelu, spelled(KERAS, more="float[2] w", x="float[n, 2]"))
    refuses(prelu, spelled(KERAS, x="float[n, 2]").replace("2] y)", "2] y, float[n, 2] q)"), SLOPES)


def test_limits_may_be_equal():
    fires(clip, spelled("a = Max(x, 2.0) y = Min(a, 2.0)"), leaves=["Clip"])


def test_clip_refuses():
    refuses(clip, spelled(CLIP[1].replace("-1.0", "3.0")), reason="the wrong way round")
    refuses(clip, spelled("a = Max(x, w) y = Min(a, 2.0)", x="float[n, 2]"), SLOPES, reason="not a single number")
    refuses(clip, spelled("a = Max(x, w) y = Min(a, 2.0)", x="float[n, 2]", more="float w"))
    refuses(clip, spelled(CLIP[0], x="float[8]", rank=2, y="float[1, 8]"), reason="more dimensions")
    refuses(clip, spelled(CLIP[0], x="double[8]", opset=11), reason="Clip of float64")
    refuses(clip, spelled(CLIP[0]).replace("8] y)", "8] y, float[n, 3, 8] a)"))
