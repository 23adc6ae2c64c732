from __future__ import annotations

import numpy as np
import pytest

from passes.fuse.norm import group_norm, instance_norm
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

DEVIATION = "m = ReduceMean(x, {2 3}) d = Sub(x, m) "
BARE = DEVIATION + "q = Mul(d, d) v = ReduceMean(q, {2 3}) e = Add(v, 1e-3) s = Sqrt(e) n = Div(d, s) "
INSTANCE = BARE + "g = Mul(n, gamma) y = Add(g, beta)"
PICTURE = "float[n, 4, 5, 6]"
WEIGHTS = {"gamma": (4, 1, 1), "beta": (1, 4, 1, 1)}

GROUP = (
    "r = Reshape(x, {0 2 -1}) i = InstanceNormalization<epsilon=1e-3>(r, one, zero) "
    "k = Shape(x) b = Reshape(i, k) g = Mul(b, gamma) y = Add(g, beta)"
)
GROUPS = WEIGHTS | {"one": np.ones(2, np.float32), "zero": np.zeros(2, np.float32)}


def test_instance_norm_fires():
    fires(instance_norm, spelled(INSTANCE, x=PICTURE), WEIGHTS, leaves=["InstanceNormalization"])
    fires(instance_norm, spelled(BARE + "y = Identity(n)", x=PICTURE), leaves=["InstanceNormalization", "Identity"])


def test_instance_norm_fires_on_sequences_in_old_opsets():
    body = INSTANCE.replace("ReduceMean(x, {2 3})", "ReduceMean<axes=[2]>(x)").replace(
        "ReduceMean(q, {2 3})", "ReduceMean<axes=[-1]>(q)"
    )
    weights = {"gamma": (4, 1), "beta": (4, 1)}
    fires(instance_norm, spelled(body, x="float[n, 4, l]", opset=11), weights, leaves=["InstanceNormalization"])


def test_instance_norm_fires_on_half_precision():
    weights = {name: np.linspace(1, 2, 4).astype(np.float16).reshape(4, 1, 1) for name in WEIGHTS}
    fires(
        instance_norm,
        spelled(INSTANCE, x=PICTURE.replace("float", "float16")),
        weights,
        leaves=["InstanceNormalization"],
    )


def test_instance_norm_leaves_another_scale_alone():
    weights = WEIGHTS | {"gamma": (5, 6)}
    fires(instance_norm, spelled(INSTANCE, x=PICTURE), weights, leaves=["InstanceNormalization", "Mul", "Add"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (spelled(BARE.replace("{2 3}", "{3}") + "y = Neg(n)", x=PICTURE), "all but N and C"),
        (spelled(BARE.replace("{2 3}", "{1 2 3}") + "y = Neg(n)", x=PICTURE), "all but N and C"),
        (spelled(BARE.replace("{2 3}", "{1}") + "y = Neg(n)", x="float[n, 4]"), "number of channels"),
        (spelled(BARE + "y = Neg(n)", x="float[n, c, 5, 6]"), "number of channels"),
        (spelled(BARE + "y = Neg(n)", x="double[n, 4, 5, 6]"), "no kernel"),
    ],
)
def test_instance_norm_refuses(text, reason):
    refuses(instance_norm, text, reason=reason)


@pytest.mark.parametrize("x", [PICTURE, "float[n, 4, h, w]", "float[2, 4, 5, 6]"])
def test_group_norm_fires(x):
    model = fires(group_norm, spelled(GROUP, x=x), GROUPS, leaves=["GroupNormalization"])
    assert model.graph.nodes[0].attrs == {"num_groups": 2, "epsilon": pytest.approx(1e-3)}


def test_group_norm_knows_the_epsilon_that_is_not_written():
    text = spelled(GROUP.replace("<epsilon=1e-3>", ""), x=PICTURE)
    model = fires(group_norm, text, GROUPS, leaves=["GroupNormalization"])
    assert model.graph.nodes[0].attrs["epsilon"] == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"one": np.array([1, 2], np.float32)}, "of their own"),
        ({"zero": np.array([0, 1], np.float32)}, "of their own"),
        ({"gamma": (5, 6)}, "one number for each channel"),
        ({"gamma": (1, 1, 1)}, "one number for each channel"),
    ],
)
def test_group_norm_refuses_other_constants(changed, reason):
    refuses(group_norm, spelled(GROUP, x=PICTURE), GROUPS | changed, reason=reason)


def test_group_norm_refuses():
    refuses(group_norm, spelled(GROUP, x=PICTURE, opset=20), GROUPS, reason="needs opset 21")
    double = {name: np.ones(part if isinstance(part, tuple) else len(part)) for name, part in GROUPS.items()}
    refuses(group_norm, spelled(GROUP, x=PICTURE.replace("float", "double")), double, reason="no kernel")
    refuses(group_norm, spelled(GROUP.replace("{0 2 -1}", "{1 2 -1}"), x=PICTURE), GROUPS, reason="together")
    unknown = spelled(
        "h = Reshape(x, s) " + GROUP.replace("(x", "(h"), x=PICTURE, y="float[?,?,?,?]", more="int64[r] s"
    )
    refuses(group_norm, unknown, GROUPS, reason="the shape of h is unknown")
    odd = GROUPS | {"one": np.ones(8, np.float32), "zero": np.zeros(8, np.float32)}
    refuses(group_norm, spelled(GROUP.replace("{0 2 -1}", "{0 8 -1}"), x=PICTURE), odd, reason="together")
    turned = GROUP.replace("k = Shape(x) b = Reshape(i, k)", "b = Reshape(i, {0 4 6 5})")
    refuses(group_norm, spelled(turned, x=PICTURE, y="float[n, 4, 6, 5]"), GROUPS, reason="has not the shape")
    refuses(group_norm, spelled(GROUP, x=PICTURE).replace("6] y)", "6] y, float[n, 2, k] i)"), GROUPS)
