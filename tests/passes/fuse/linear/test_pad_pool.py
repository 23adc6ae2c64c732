import numpy as np
import pytest

from passes.fuse.linear import pad_average_pool, pad_max_pool
from tests.support import fires, refuses

OPSET = '<ir_version: 8, opset_import: ["" : {}]>\n'
AROUND = np.array([0, 0, 1, 2, 0, 0, 2, 0])
NOTHING = np.float32(-np.inf)


def model(pool, pad="Pad (x, p)", opset=21, before=""):
    source = "r" if before else "x"
    body = f"{before} z = {pad.replace('(x', '(' + source)} y = {pool}"
    return OPSET.format(opset) + f"agraph (float[N,3,8,9] x) => (float[N,3,H,W] y) {{ {body} }}"


@pytest.mark.parametrize(
    ("pool", "pads"),
    [
        ("kernel_shape = [3,3]", [1, 2, 2, 0]),
        ("kernel_shape = [4,4], strides = [2,3], pads = [1,0,0,1], count_include_pad = 1", [2, 2, 2, 1]),
        ("kernel_shape = [3,3], count_include_pad = 1", [1, 2, 2, 0]),
        ('kernel_shape = [3,3], auto_pad = "VALID"', [1, 2, 2, 0]),
        ("kernel_shape = [3,3], pads = [0,0,0,0]", [1, 2, 2, 0]),
    ],
)
@pytest.mark.parametrize("opset", [11, 21])
def test_average(pool, pads, opset):
    text = model(f"AveragePool <{pool}> (z)", opset=opset)
    left = fires(pad_average_pool, text, {"p": AROUND}, leaves=["AveragePool"])
    assert left.graph.nodes[0].attrs["pads"] == pads


def test_average_with_old_pad():
    text = model("AveragePool <kernel_shape = [3,3]> (z)", "Pad <pads = [0,0,1,2,0,0,2,0]> (x)", opset=7)
    fires(pad_average_pool, text, leaves=["AveragePool"])


@pytest.mark.parametrize(
    ("pool", "reason"),
    [
        ("kernel_shape = [3,3], pads = [1,1,1,1]", "does not count"),
        ("kernel_shape = [3,2]", "as large as the window"),
        ("kernel_shape = [3,3], strides = [2,2], ceil_mode = 1", "ceil_mode"),
        ("kernel_shape = [3,3], dilations = [2,2]", "dilated"),
        ('kernel_shape = [3,3], auto_pad = "SAME_UPPER"', "automatically"),
    ],
)
def test_average_refuses(pool, reason):
    refuses(pad_average_pool, model(f"AveragePool <{pool}> (z)"), {"p": AROUND}, reason=reason)


def test_average_refuses_another_number():
    text = model("AveragePool <kernel_shape = [3,3]> (z)", "Pad (x, p, v)")
    refuses(pad_average_pool, text, {"p": AROUND, "v": np.float32(1)}, reason="another number")


@pytest.mark.parametrize("pool", ["kernel_shape = [3,3]", "kernel_shape = [4,4], strides = [2,3], pads = [1,0,0,1]"])
def test_max_of_an_input_padded_with_nothing(pool):
    text = model(f"MaxPool <{pool}> (z)", "Pad (x, p, v)")
    fires(pad_max_pool, text, {"p": AROUND, "v": NOTHING}, leaves=["MaxPool"])


@pytest.mark.parametrize("op", ["Relu", "Sigmoid", "Abs"])
@pytest.mark.parametrize("pad", ["Pad (x, p)", "Pad (x, p, v)"])
def test_max_of_an_input_that_is_never_negative(op, pad):
    text = model("MaxPool <kernel_shape = [3,3]> (z)", pad, before=f"r = {op} (x)")
    given = {"p": AROUND} | ({"v": np.float32(-3)} if "v" in pad else {})
    fires(pad_max_pool, text, given, leaves=[op, "MaxPool"])


def test_max_with_old_pad():
    text = model(
        "MaxPool <kernel_shape = [3,3]> (z)", "Pad <pads = [0,0,1,2,0,0,2,0]> (x)", opset=10, before="r = Relu (x)"
    )
    fires(pad_max_pool, text, leaves=["Relu", "MaxPool"])


@pytest.mark.parametrize("before", ["", "r = LeakyRelu (x)", "r = Tanh (x)"])
def test_max_refuses_zeros_that_may_win(before):
    text = model("MaxPool <kernel_shape = [3,3]> (z)", before=before)
    refuses(pad_max_pool, text, {"p": AROUND}, reason="may be larger")


def test_max_refuses_a_number_that_may_win():
    text = model("MaxPool <kernel_shape = [3,3]> (z)", "Pad (x, p, v)", before="r = Relu (x)")
    refuses(pad_max_pool, text, {"p": AROUND, "v": np.float32(0.0005)}, reason="may be larger")


@pytest.mark.parametrize(
    ("pool", "reason"),
    [
        ("kernel_shape = [3,2]", "as large as the window"),
        ("kernel_shape = [3,3], strides = [2,2], ceil_mode = 1", "ceil_mode"),
        ("kernel_shape = [3,3], dilations = [2,2]", "dilated"),
        ('kernel_shape = [3,3], auto_pad = "SAME_LOWER"', "automatically"),
    ],
)
def test_max_refuses(pool, reason):
    text = model(f"MaxPool <{pool}> (z)", "Pad (x, p, v)")
    refuses(pad_max_pool, text, {"p": AROUND, "v": NOTHING}, reason=reason)


def test_max_refuses_indices():
    text = """agraph (float[N,3,8,9] x) => (float[N,3,H,W] y, int64[N,3,H,W] i) {
      z = Pad (x, p, v)
      y, i = MaxPool <kernel_shape = [3,3]> (z)
    }"""
    refuses(pad_max_pool, text, {"p": AROUND, "v": NOTHING}, reason="indices")
