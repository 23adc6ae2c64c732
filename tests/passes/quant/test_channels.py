"""Depthwise convolutions in sixteens: where channels of zeros are added, and where not."""

import numpy as np
import pytest

from graphopt.ir.reader import load
from graphopt.pipeline.context import Context
from passes.quant.channels import widen
from tests.passes.quant.executing import executed, first_output, quantised
from tests.support import proto

BLOCK = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 8, 6, 6] x) => (float[N, 8, P, Q] y) {{
    a = Conv (x, w, b)
    h = HardSwish (a)
    d = Conv <group = {channels}, pads = [1, 1, 1, 1]> (h, k, c)
    r = Relu (d)
    {middle}
    y = Conv (m, v)
}}
"""
GATE = """p = GlobalAveragePool (r)
    s = Conv (p, narrow)
    t = Conv (s, wide)
    g = HardSigmoid (t)
    m = Mul (r, g)"""


def block(channels=24, middle="m = Identity (r)"):
    text = BLOCK.format(channels=channels, middle=middle)
    return proto(text, {name: shape for name, shape in shapes(channels).items() if name in used(middle)})


def shapes(channels):
    outward, inward = (channels, 8, 1, 1), (8, channels, 1, 1)
    gate = {"narrow": (9, channels, 1, 1), "wide": (channels, 9, 1, 1)}
    depthwise = {"k": (channels, 1, 3, 3), "c": (channels,)}
    return {
        "w": outward,
        "b": (channels,),
        "v": inward,
        "other": outward,
        "e": (1, channels, 1, 1),
        **depthwise,
        **gate,
    }


def used(middle):
    return {"w", "b", "k", "c", "v"} | {name for name in ("narrow", "wide", "other", "e") if name in middle}


def widened(message):
    context = Context(load(message.SerializeToString()))
    context.begin("test")
    widen(context)
    context.editor.flush()
    return context.model


def widths(model):
    return sorted(node.attrs["group"] for node in model.graph.nodes if node.attrs.get("group", 1) > 1)


@pytest.mark.parametrize("middle", ["m = Identity (r)", GATE, "m = Mul (r, h)"])
@pytest.mark.parametrize(("channels", "expected"), [(28, 32), (40, 48), (72, 80), (120, 128)])
def test_channels_of_zeros_fill_the_sixteens(channels, expected, middle):
    message = block(channels, middle)
    model = widened(message)
    assert widths(model) == [expected]
    feeds = {"x": np.random.default_rng(1).standard_normal((2, 8, 6, 6)).astype(np.float32)}
    found, exact = first_output(model.to_proto(), feeds), first_output(message, feeds)
    assert np.allclose(found, exact, rtol=1e-5, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize("channels", [16, 20, 24, 32])
def test_what_is_in_sixteens_stays_and_what_would_grow_much(channels):
    assert widths(widened(block(channels))) == [channels]


@pytest.mark.parametrize(
    "middle",
    [
        "m = Softmax <axis = 1> (r)",
        "o = Conv (x, other)\n q = Concat <axis = 1> (r, o)\n m, n = Split <axis = 1> (q)",
        "m = Mul (r, e)",
        "i = Shape (r)\n m = Reshape (r, i)",
    ],
)
def test_what_does_not_work_channel_by_channel_keeps_the_region_as_it_is(middle):
    assert widths(widened(block(28, middle))) == [28]


def test_the_kernel_for_sixteens_is_taken(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.random.default_rng(1).standard_normal((16, 8, 6, 6)).astype(np.float32))
    result = quantised(block(28, GATE), path)
    assert not result.report.rolled_back
    found = executed(result.model.to_proto())
    assert found["QLinearConv"] == 5
    assert "HardSigmoid" not in found
    assert 32 in widths(result.model)


RESIDUAL = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 8, 6, 6] x) => (float[N, 8, P, Q] y) {
    a = Conv (x, w, b)
    r = Relu (a)
    c = Conv <pads = [1, 1, 1, 1]> (r, k, c0)
    s = Add (c, r)
    y = Conv (s, v)
}
"""


@pytest.mark.parametrize(
    ("channels", "expected"), [(13, 16), (15, 16), (18, 20), (4, 4), (8, 8), (12, 12), (16, 16), (20, 20)]
)
def test_other_convolutions_get_fours_and_no_fewer_than_sixteen(channels, expected):
    sizes = {
        "w": (channels, 8, 1, 1), "b": (channels,), "k": (channels, channels, 3, 3), "c0": (channels,),
        "v": (8, channels, 1, 1),
    }  # fmt: skip
    message = proto(RESIDUAL, sizes)
    model = widened(message)
    made = [node.inputs[1].shape[0] for node in model.graph.nodes if node.op == "Conv"]
    assert made == [expected, expected, 8]
    feeds = {"x": np.random.default_rng(1).standard_normal((2, 8, 6, 6)).astype(np.float32)}
    found, exact = first_output(model.to_proto(), feeds), first_output(message, feeds)
    assert np.allclose(found, exact, rtol=1e-5, atol=1e-5 * np.abs(exact).max())


def test_single_pixels_take_no_time_and_stay():
    message = block(32, GATE)
    assert [node.inputs[1].shape[0] for node in widened(message).graph.nodes if node.op == "Conv"] == [32, 32, 9, 32, 8]
