from __future__ import annotations

import pytest

from passes.fuse.norm import log_softmax, softmax
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

BELOW = "m = ReduceMax<axes=[-1]>(x) d = Sub(x, m) "
SHARE = "e = Exp(d) s = ReduceSum(e, {-1}) "
SOFTMAX = [
    BELOW + SHARE + "y = Div(e, s)",
    BELOW + SHARE + "r = Reciprocal(s) y = Mul(e, r)",
    SHARE.replace("(d)", "(x)") + "y = Div(e, s)",
]
LOG = [
    BELOW + SHARE + "l = Log(s) y = Sub(d, l)",
    BELOW + SHARE + "l = Log(s) a = Add(l, m) y = Sub(x, a)",
    "l = ReduceLogSumExp<axes=[-1]>(x) y = Sub(x, l)",
    SHARE.replace("(d)", "(x)") + "l = Log(s) y = Sub(x, l)",
]
DTYPES = ["float", "float16", "double"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_fires_on_every_spelling(dtype):
    fires(softmax, spelled(*SOFTMAX, x=f"{dtype}[n, 3, 8]", opset=17), leaves={"Softmax": 3})


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_softmax_fires_on_every_spelling(dtype):
    fires(log_softmax, spelled(*LOG, x=f"{dtype}[n, 3, 8]", opset=17), leaves={"LogSoftmax": 4})


def test_fire_on_any_axis_from_opset_13():
    inner = SOFTMAX[0].replace("-1", "1")
    model = fires(softmax, spelled(inner, opset=17), leaves=["Softmax"])
    assert model.graph.nodes[0].attrs == {"axis": 1}
    model = fires(log_softmax, spelled(LOG[0].replace("-1", "1"), opset=17), leaves=["LogSoftmax"])
    assert model.graph.nodes[0].attrs == {"axis": 1}


def test_fire_on_the_last_axis_before_opset_13():
    old = SOFTMAX[0].replace("ReduceSum(e, {-1})", "ReduceSum<axes=[2]>(e)")
    fires(softmax, spelled(old, opset=11), leaves=["Softmax"])
    refuses(
        softmax, spelled(old.replace("[2]", "[1]").replace("[-1]", "[1]"), opset=11), reason="includes all after it"
    )


@pytest.mark.parametrize("opset", [11, 13])
def test_log_of_softmax_keeps_its_axis(opset):
    for axis in ("<axis=1>", "<axis=-1>", ""):
        model = fires(log_softmax, spelled(f"s = Softmax{axis}(x) y = Log(s)", opset=opset), leaves=["LogSoftmax"])
        assert str(model.graph.nodes[0].attrs.get("axis", "")) in axis


@pytest.mark.parametrize(
    ("rule", "body", "reason"),
    [
        (softmax, SOFTMAX[0].replace("{-1}", "{1 2}").replace("[-1]", "[1, 2]"), "several axes"),
        (softmax, SOFTMAX[2].replace("(e, {-1})", "(e)"), "several axes"),
        (softmax, SOFTMAX[0].replace("y = Div(e, s)", "f = Exp(x) y = Div(f, s)"), ""),
        (log_softmax, LOG[0].replace("Sub(d, l)", "Sub(x, l)"), ""),
        (log_softmax, LOG[1].replace("{-1}", "{1}"), "different axes"),
    ],
)
def test_refuse(rule, body, reason):
    refuses(rule, spelled(body, opset=17), reason=reason)


def test_a_maximum_over_another_axis_stays():
    body = SOFTMAX[0].replace("{-1}", "{1}")
    fires(softmax, spelled(body, opset=17), leaves=["ReduceMax", "Sub", "Softmax"])


def test_refuse_the_logarithm_of_one_element():
    text = spelled("e = Exp(x) s = ReduceSum(e, {0}) l = Log(s) y = Sub(x, l)", x="float[1, 2]", opset=17)
    refuses(log_softmax, text, reason="one element")


def test_refuse_numbers_of_which_nobody_knows_the_type():
    text = spelled("f = my.Own(x) s = Softmax(f) y = Log(s)").replace('"" : 21', '"" : 21, "my" : 1')
    refuses(log_softmax, text, reason="unknown or not floating")


def test_refuse_dropped_dimensions():
    body = SOFTMAX[2].replace("ReduceSum(", "ReduceSum<keepdims=0>(")
    refuses(softmax, spelled(body, x="float[8, 8]"), reason="drops its dimensions")


def test_refuse_values_used_elsewhere_or_returned():
    refuses(softmax, spelled(SOFTMAX[0].replace("y = ", "z = ") + " y = Add(z, e)", opset=17))
    refuses(log_softmax, spelled("s = Softmax(x) y = Log(s)").replace("8] y)", "8] y, float[n, 3, 8] s)"))
