import numpy as np
import pytest

from passes.fuse.linear import pad_conv
from tests.support import fires, refuses

OPSET = '<ir_version: 8, opset_import: ["" : {}]>\n'


def model(pad, conv="Conv (z, w)", image="3,8,9", opset=21):
    result = ",".join("NMHWD"[: 2 + image.count(",")])
    return OPSET.format(opset) + f"agraph (float[N,{image}] x) => (float[{result}] y) {{ z = {pad} y = {conv} }}"


def ints(*numbers):
    return np.array(numbers, np.int64)


AROUND = ints(0, 0, 1, 2, 0, 0, 3, 0)
WEIGHTS = {"w": (4, 3, 3, 3)}


def test_amounts_before_and_after():
    left = fires(pad_conv, model("Pad (x, p)"), {**WEIGHTS, "p": AROUND}, leaves=["Conv"])
    assert left.graph.nodes[0].attrs["pads"] == [1, 2, 3, 0]


@pytest.mark.parametrize(
    "conv",
    ["Conv <pads = [1,0,2,1], strides = [2,2], dilations = [2,1]> (z, w, b)", 'Conv <auto_pad = "VALID"> (z, w, b)'],
)
def test_own_padding_is_kept(conv):
    left = fires(pad_conv, model("Pad (x, p)", conv), {**WEIGHTS, "b": (4,), "p": AROUND}, leaves=["Conv"])
    assert "auto_pad" not in left.graph.nodes[0].attrs


def test_pads_without_automatic_padding():
    conv = 'Conv <auto_pad = "NOTSET", pads = [0,1,0,1]> (z, w)'
    left = fires(pad_conv, model("Pad (x, p)", conv), {**WEIGHTS, "p": AROUND}, leaves=["Conv"])
    assert left.graph.nodes[0].attrs["pads"] == [1, 3, 3, 1]


def test_zero_given_and_axes_given():
    given = {**WEIGHTS, "p": ints(1, 2, 3, 0), "v": np.float32(0), "a": ints(-2, 3)}
    left = fires(pad_conv, model("Pad (x, p, v, a)"), given, leaves=["Conv"])
    assert left.graph.nodes[0].attrs["pads"] == [1, 2, 3, 0]


def test_axes_out_of_order():
    given = {**WEIGHTS, "p": ints(2, 1, 0, 3), "a": ints(3, 2)}
    left = fires(pad_conv, model("Pad (x, p, , a)"), given, leaves=["Conv"])
    assert left.graph.nodes[0].attrs["pads"] == [1, 2, 3, 0]


@pytest.mark.parametrize("opset", [7, 10])
@pytest.mark.parametrize("more", ["", ', mode = "constant", value = 0.0'])
def test_amounts_as_attributes(opset, more):
    fires(pad_conv, model(f"Pad <pads = [0,0,1,2,0,0,3,0]{more}> (x)", opset=opset), WEIGHTS, leaves=["Conv"])


def test_other_ranks_and_groups():
    given = {"w": (6, 1, 3), "p": ints(0, 0, 2, 0, 0, 1)}
    fires(pad_conv, model("Pad (x, p)", "Conv <group = 6> (z, w)", "6,9"), given, leaves=["Conv"])
    given = {"w": (4, 3, 2, 2, 2), "p": ints(0, 0, 1, 0, 1, 0, 0, 0, 2, 1)}
    fires(pad_conv, model("Pad (x, p)", image="3,5,4,6"), given, leaves=["Conv"])


def test_weights_may_be_computed_at_run_time():
    text = "agraph (float[N,3,8,9] x, float[4,3,3,3] w) => (float[N,4,H,W] y) { z = Pad (x, p) y = Conv (z, w) }"
    fires(pad_conv, text, {"p": AROUND}, leaves=["Conv"])


@pytest.mark.parametrize(
    ("pad", "given", "reason"),
    [
        ("Pad (x, p)", {"p": ints(0, 0, 1, -1, 0, 0, 1, 1)}, "crops"),
        ("Pad (x, p)", {"p": ints(0, 0, 1, 1, 0, 1, 1, 1)}, "batch or the channels"),
        ("Pad (x, p)", {"p": ints(1, 0, 1, 1, 0, 0, 1, 1)}, "batch or the channels"),
        ("Pad (x, p, v)", {"p": AROUND, "v": np.float32(1)}, "another number"),
        ("Pad (x, p, v)", {"p": AROUND, "v": np.float32(-np.inf)}, "another number"),
        ('Pad <mode = "reflect"> (x, p)', {"p": AROUND}, "mode reflect"),
        ('Pad <mode = "edge"> (x, p)', {"p": AROUND}, "mode edge"),
        ('Pad <mode = "wrap"> (x, p)', {"p": AROUND}, "mode wrap"),
    ],
)
def test_refuses_other_padding(pad, given, reason):
    channels = 4 if "channels" in reason and given["p"][5] else 3
    result = "M,4,H,W" if reason.startswith("batch") else "N,4,H,W"
    text = model(pad).replace("[N,M,H,W]", f"[{result}]")
    refuses(pad_conv, text, {"w": (4, channels, 3, 3), **given}, reason=reason)


def test_refuses_another_number_as_an_attribute():
    refuses(
        pad_conv, model("Pad <pads = [0,0,1,2,0,0,3,0], value = 0.5> (x)", opset=9), WEIGHTS, reason="another number"
    )


def test_refuses_automatic_padding():
    refuses(
        pad_conv,
        model("Pad (x, p)", 'Conv <auto_pad = "SAME_UPPER"> (z, w)'),
        {**WEIGHTS, "p": AROUND},
        reason="automatically",
    )


def test_refuses_a_transposed_conv():
    refuses(pad_conv, model("Pad (x, p)", "ConvTranspose (z, w)"), {"w": (3, 4, 3, 3), "p": AROUND})


def test_refuses_amounts_computed_at_run_time():
    text = "agraph (float[N,3,8,9] x, int64[8] p) => (float[N,M,H,W] y) { z = Pad (x, p) y = Conv (z, w) }"
    result = refuses(pad_conv, text, WEIGHTS, reason="amounts of padding are not known")
    assert result is None


def test_refuses_another_reader_between():
    text = """agraph (float[N,3,8,9] x) => (float[N,4,H,W] y, float[A,B,C,D] u) {
      z = Pad (x, p)
      y = Conv (z, w)
      u = Relu (z)
    }"""
    refuses(pad_conv, text, {**WEIGHTS, "p": AROUND})
