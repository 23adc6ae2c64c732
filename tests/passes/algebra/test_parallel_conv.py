import numpy as np
import pytest

from passes.algebra import ALGEBRA, parallel_conv
from tests.support import fires, refuses

SAME = "kernel_shape = [3,3], pads = [1,1,1,1]"


def two(first, second, channels=4, x="float[N,4,9,8]", y="float[N,4,A,B]"):
    return f"g ({x} x) => ({y} y) {{ a = {first} b = {second} y = Add (a, b) }}"


def positive(*shape):
    return np.random.default_rng(1).uniform(0.5, 1.5, shape).astype(np.float32)


NORMAL = {name: positive(4) for name in ("gamma", "beta", "mean", "variance")}


@pytest.mark.parametrize("biases", [("", ""), (", c", ""), ("", ", d"), (", c", ", d")])
def test_a_large_and_a_small_kernel(biases):
    text = two(f"Conv <{SAME}> (x, w{biases[0]})", f"Conv (x, v{biases[1]})")
    given = (
        {"w": (4, 4, 3, 3), "v": (4, 4, 1, 1)} | ({"c": (4,)} if biases[0] else {}) | ({"d": (4,)} if biases[1] else {})
    )
    model = fires(parallel_conv, text, given, leaves=["Conv"])
    assert model.graph.nodes[0].inputs[1].shape == (4, 4, 3, 3)


@pytest.mark.parametrize("group", [2, 4])
def test_groups(group):
    text = two(f"Conv <{SAME}, group = {group}> (x, w)", f"Conv <group = {group}> (x, v)")
    given = {"w": (4, 4 // group, 3, 3), "v": (4, 4 // group, 1, 1)}
    model = fires(parallel_conv, text, given, leaves=["Conv"])
    assert model.graph.nodes[0].attrs["group"] == group


def test_a_depthwise_one_beside_a_dense_one():
    text = two(f"Conv <{SAME}> (x, w)", f"Conv <{SAME}, group = 4> (x, v)")
    fires(parallel_conv, text, {"w": (4, 4, 3, 3), "v": (4, 1, 3, 3)}, leaves=["Conv"])


def test_more_outputs_than_inputs_of_a_group():
    text = two("Conv <group = 2> (x, w)", "Conv (x, v)", y="float[N,6,A,B]")
    fires(parallel_conv, text, {"w": (6, 2, 1, 1), "v": (6, 4, 1, 1)}, leaves=["Conv"])


@pytest.mark.parametrize(
    "second",
    ["BatchNormalization (x, gamma, beta, mean, variance)", "Mul (x, factor)", "Identity (x)"],
)
@pytest.mark.parametrize("group", [1, 2, 4])
def test_the_input_itself(second, group):
    held = {"w": (4, 4 // group, 3, 3), "c": (4,)}
    held |= NORMAL if "Batch" in second else {"factor": positive(4, 1, 1)} if "Mul" in second else {}
    text = two(f"Conv <{SAME}, group = {group}> (x, w, c)", second)
    left = fires(["clean", ALGEBRA], text, held, leaves=["Conv"])
    assert left.graph.nodes[0].attrs["group"] == group


def test_a_residual_sum():
    text = f"g (float[N,4,9,8] x) => (float[N,4,9,8] y) {{ a = Conv <{SAME}> (x, w) y = Add (x, a) }}"
    fires(parallel_conv, text, {"w": (4, 4, 3, 3)}, leaves=["Conv"])


@pytest.mark.parametrize("order", ["Add (s, b)", "Add (b, s)"])
def test_something_else_between(order):
    text = f"""g (float[N,4,9,8] x, float[N,4,9,8] z) => (float[N,4,9,8] y) {{
        a = Conv <{SAME}> (x, w) s = Add (z, a) b = Conv (x, v) y = {order} }}"""
    fires(parallel_conv, text, {"w": (4, 4, 3, 3), "v": (4, 4, 1, 1)}, leaves=["Conv", "Add"])


def test_strides_and_dilations():
    text = two(
        "Conv <kernel_shape = [3,3], pads = [2,2,2,2], strides = [2,2], dilations = [2,2]> (x, w)",
        "Conv <strides = [2,2]> (x, v)",
    )
    fires(parallel_conv, text, {"w": (4, 4, 3, 3), "v": (4, 4, 1, 1)}, leaves=["Conv"])


def test_one_dimension_and_five_taps():
    text = """g (float[N,4,9] x) => (float[N,4,9] y) {
        a = Conv <pads = [2,2]> (x, w) b = Conv <pads = [1,1]> (x, v) y = Add (a, b) }"""
    fires(parallel_conv, text, {"w": (4, 4, 5), "v": (4, 4, 3)}, leaves=["Conv"])


def test_one_sided_padding_of_known_sizes():
    """As TensorFlow pads: the small kernel leaves out the last pixel, the large one reads beyond it."""
    text = two(
        "Conv <kernel_shape = [3,3], pads = [0,0,1,1], strides = [2,2]> (x, w)", "Conv <strides = [2,2]> (x, v)",
        x="float[1,4,8,8]", y="float[1,4,4,4]",
    )  # fmt: skip
    fires(parallel_conv, text, {"w": (4, 4, 3, 3), "v": (4, 4, 1, 1)}, leaves=["Conv"])


def test_one_sided_padding_of_unknown_sizes():
    """The small kernel reads the last pixel of some sizes, where the large one reads no further."""
    text = two(
        "Conv <kernel_shape = [3,3], pads = [0,0,1,1], strides = [2,2]> (x, w)", "Conv <strides = [2,2]> (x, v)",
        x="float[1,4,H,W]", y="float[1,4,A,B]",
    )  # fmt: skip
    refuses(parallel_conv, text, {"w": (4, 4, 3, 3), "v": (4, 4, 1, 1)}, reason="read the same places")


def test_two_taps_beside_each_other():
    text = """<ir_version: 3, opset_import: ["" : 7]> g (float[N,4,9] x) => (float[N,4,10] y) {
        a = Conv <pads = [1,0]> (x, w) b = Conv <pads = [0,1]> (x, v) y = Add (a, b) }"""
    model = fires(parallel_conv, text, {"w": (4, 4, 1), "v": (4, 4, 1)}, leaves=["Conv"])
    assert model.graph.nodes[0].inputs[1].shape == (4, 4, 2)


def test_half_precision():
    text = two(f"Conv <{SAME}> (x, w)", "Conv (x, v)").replace("float[", "float16[")
    rng = np.random.default_rng(0)
    given = {"w": rng.standard_normal((4, 4, 3, 3)), "v": rng.standard_normal((4, 4, 1, 1))}
    fires(parallel_conv, text, {k: v.astype(np.float16) for k, v in given.items()}, leaves=["Conv"])


REFUSED = {
    "a cross": ("Conv <pads = [0,1,0,1]> (x, w13)", "Conv <pads = [1,0,1,0]> (x, w31)", "more multiplications"),
    "what is no convolution": (f"Conv <{SAME}> (x, w)", "AveragePool <kernel_shape = [1,1]> (x)", ""),
    "dilations": (
        "Conv <pads = [1,1,1,1]> (x, w)", "Conv <pads = [3,3,3,3], dilations = [3,3]> (x, u)", "lie between each other"
    ),
    "automatic padding": ('Conv <auto_pad = "SAME_UPPER"> (x, w)', "Conv (x, v)", "depends on the size"),
    "weights at run time": (f"Conv <{SAME}> (x, p)", "Conv (x, v)", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case):
    first, second, reason = REFUSED[case]
    held = {"w": (4, 4, 3, 3), "u": (4, 4, 3, 3), "v": (4, 4, 1, 1), "w13": (4, 4, 1, 3), "w31": (4, 4, 3, 1)}
    text = two(first, second, x="float[4,4,3,3] p, float[N,4,9,8]")
    words = set((first + second).replace("(", " ").replace(")", " ").replace(",", " ").split())
    refuses(parallel_conv, text, {name: shape for name, shape in held.items() if name in words}, reason=reason)


def test_refuses_an_input_of_another_size():
    text = "g (float[N,4,9,8] x) => (float[N,4,9,8] y) { a = Conv (x, w) y = Add (a, x) }"
    refuses(parallel_conv, text.replace("[N,4,9,8] x", "[N,1,9,8] x"), {"w": (4, 1, 1, 1)}, reason="same channels")


def test_refuses_an_input_whose_size_is_spread():
    text = "g (float[N,4,3,3] x) => (float[N,4,3,3] y) { a = Conv (x, w) y = Add (a, x) }"
    refuses(parallel_conv, text, {"w": (4, 4, 3, 3)}, reason="read the same places")


def test_refuses_other_readers():
    text = f"""g (float[N,4,9,8] x) => (float[N,4,9,8] y, float[N,4,9,8] b) {{
        a = Conv <{SAME}> (x, w) b = Conv (x, v) y = Add (a, b) }}"""
    refuses(parallel_conv, text, {"w": (4, 4, 3, 3), "v": (4, 4, 1, 1)})


def test_refuses_a_dense_kernel_for_two_narrow_ones():
    text = two("Conv (x, w)", f"Conv <{SAME}, group = 4> (x, v)")
    refuses(parallel_conv, text, {"w": (4, 4, 1, 1), "v": (4, 1, 3, 3)}, reason="more multiplications")


def test_refuses_an_input_of_unknown_shape():
    text = f"g (float[N,C,9,8] x) => (float[N,4,9,8] y) {{ a = Conv <{SAME}> (x, w) y = Add (a, x) }}"
    refuses(parallel_conv, text, {"w": (4, 4, 3, 3)}, reason="channels of its input are not known")
    text = f"""g (float[N] z, int64[K] s) => (float[N,4,9,8] y) {{
        x = Reshape (z, s) a = Conv <{SAME}> (x, w) y = Add (a, x) }}"""
    refuses(parallel_conv, text, {"w": (4, 4, 3, 3)}, reason="the shape of its input is not known")
