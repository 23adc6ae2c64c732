from __future__ import annotations

import pytest

from passes.fuse.activation import hard_sigmoid, hard_swish
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

RELU6 = [
    "c = Clip(a, 0.0, 6.0)",
    "r = Relu(a) c = Min(r, 6.0)",
    "r = Max(a, 0.0) c = Min(6.0, r)",
    "r = Min(a, 6.0) c = Relu(r)",
]
SHIFT = "a = Add(x, 3.0) "
SIGMOID = [
    *(f"{SHIFT}{clip} y = Div(c, 6.0)" for clip in RELU6),
    SHIFT + RELU6[0] + " y = Mul(c, 0.16666667)",
    "m = Mul(x, 0.2) a = Add(m, 0.5) y = Clip(a, 0.0, 1.0)",
]
SWISH = [
    *(f"{SHIFT}{clip} m = Mul(x, c) y = Div(m, 6.0)" for clip in RELU6),
    SHIFT + RELU6[0] + " d = Div(c, 6.0) y = Mul(x, d)",
    SHIFT + RELU6[0] + " d = Mul(c, 0.16666667) y = Mul(d, x)",
    SHIFT + RELU6[0] + " d = Div(x, 6.0) y = Mul(d, c)",
    "s = HardSigmoid<alpha=0.16666667, beta=0.5>(x) y = Mul(x, s)",
]
OLD_CLIP = SHIFT + "c = Clip<min=0.0, max=6.0>(a) "


@pytest.mark.parametrize("dtype", ["float", "float16"])
@pytest.mark.parametrize("opset", [13, 22])
def test_hard_sigmoid_fires_on_every_spelling(dtype, opset):
    text = spelled(*SIGMOID, x=f"{dtype}[n, 8]", opset=opset)
    fires(hard_sigmoid, text, leaves={"HardSigmoid": len(SIGMOID)})


@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_hard_swish_fires_on_every_spelling(dtype):
    fires(hard_swish, spelled(*SWISH, x=f"{dtype}[n, 8]", opset=14), leaves={"HardSwish": len(SWISH)})


def test_fire_on_clip_with_attributes():
    fires(hard_sigmoid, spelled(OLD_CLIP + "y = Div(c, 6.0)", opset=9), leaves=["HardSigmoid"])
    fires(
        hard_swish, spelled(OLD_CLIP + "m = Mul(x, c) y = Div(m, 6.0)", opset=9, rank=1), leaves=["HardSigmoid", "Mul"]
    )


def test_hard_swish_before_opset_14_is_a_product():
    fires(hard_swish, spelled(SWISH[0], opset=13), leaves=["HardSigmoid", "Mul"])


def test_hard_swish_refuses_the_product_before_opset_14():
    refuses(hard_swish, spelled(SWISH[-1], opset=13), reason="HardSwish needs opset 14")


def test_hard_sigmoid_takes_slope_and_offset():
    model = fires(hard_sigmoid, spelled(SIGMOID[-1]), leaves=["HardSigmoid"])
    assert model.graph.nodes[0].attrs == pytest.approx({"alpha": 0.2, "beta": 0.5})


@pytest.mark.parametrize(
    ("number", "wrong"), [("3.0", "2.0"), ("(c, 6.0)", "(c, 5.0)"), ("a, 0.0", "a, 0.1"), ("0.0, 6.0", "0.0, 6.1")]
)
def test_refuse_other_numbers(number, wrong):
    refuses(hard_sigmoid, spelled(SIGMOID[0].replace(number, wrong)))
    refuses(hard_swish, spelled(SWISH[4].replace(number, wrong)))


def test_hard_swish_refuses_another_gate():
    refuses(hard_swish, spelled(SWISH[-1].replace("0.16666667", "0.2")))
    refuses(hard_swish, spelled(SWISH[-1].replace("0.5>(x)", "0.5>(z)"), more="float[n, 3, 8] z"))


@pytest.mark.parametrize(("rule", "body"), [(hard_sigmoid, SIGMOID[0]), (hard_swish, SWISH[0])])
def test_refuse(rule, body):
    refuses(rule, spelled(body, x="double[8]"), reason="no kernel")
    refuses(rule, spelled(body.replace("y = ", "z = ") + " y = Add(z, c)"))
    refuses(rule, spelled(body).replace("8] y)", "8] y, float[n, 3, 8] a)"))


@pytest.mark.parametrize(("rule", "body"), [(hard_sigmoid, SIGMOID[1]), (hard_swish, SWISH[1])])
def test_refuse_constants_with_more_dimensions_than_x(rule, body):
    refuses(rule, spelled(body, x="float[8]", rank=2, y="float[1, 8]"), reason="more dimensions")


def test_hard_sigmoid_refuses_a_slope_for_each_channel():
    text = spelled(SIGMOID[-1].replace("0.2", "w"), held="float[2] w = {1.0, 2.0}", x="float[n, 2]")
    refuses(hard_sigmoid, text, reason="not a single number")
