import numpy as np
import pytest

from passes.fuse.linear import conv_mul
from tests.support import apply, fires, refuses


def model(tail, conv="Conv (x, w, b)", result="N,4,8,8", header=""):
    return header + f"agraph (float[N,6,8,8] x) => (float[{result}] y) {{ z = {conv} y = {tail} }}"


WEIGHTS = {"w": (4, 6, 1, 1), "b": (4,)}


def numbers(*shape):
    return np.random.default_rng(5).uniform(0.5, 2, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1), (4, 1, 1), (1, 4, 1, 1)])
@pytest.mark.parametrize("tail", ["Mul (z, c)", "Mul (c, z)", "Div (z, c)"])
def test_every_constant_that_is_one_number_for_each_channel(tail, shape):
    fires(conv_mul, model(tail), {**WEIGHTS, "c": numbers(*shape)}, leaves=["Conv"])


def test_without_a_bias_there_is_none_afterwards():
    left = fires(
        conv_mul, model("Mul (z, c)", "Conv (x, w)"), {"w": (4, 6, 1, 1), "c": numbers(4, 1, 1)}, leaves=["Conv"]
    )
    assert len(left.graph.nodes[0].inputs) == 2


@pytest.mark.parametrize(("group", "weights"), [(1, (6, 4, 3, 3)), (2, (6, 2, 3, 3)), (3, (6, 4, 3, 3))])
def test_transposed_conv(group, weights):
    channels = weights[1] * group
    conv = f"ConvTranspose <group = {group}, pads = [1,1,1,1]> (x, w, b)"
    given = {"w": weights, "b": (channels,), "c": numbers(channels, 1, 1)}
    fires(conv_mul, model("Mul (z, c)", conv, f"N,{channels},8,8"), given, leaves=["ConvTranspose"])


def test_depthwise():
    given = {"w": (6, 1, 3, 3), "c": numbers(6, 1, 1)}
    conv = "Conv <group = 6, pads = [1,1,1,1]> (x, w)"
    fires(conv_mul, model("Div (z, c)", conv, "N,6,8,8"), given, leaves=["Conv"])


def test_one_dimension():
    text = "agraph (float[N,6,8] x) => (float[N,4,8] y) { z = Conv (x, w) y = Mul (z, c) }"
    fires(conv_mul, text, {"w": (4, 6, 1), "c": numbers(4, 1)}, leaves=["Conv"])


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((8,), "along axis 3"),
        ((8, 1), "along axis 2"),
        ((8, 8), "along axis"),
        ((2, 1, 1, 1), "along axis 0"),
        ((1, 4, 8, 1), "along axis 2"),
        ((1, 1, 4, 1, 1), "more dimensions"),
        ((1, 1, 1, 1, 1), "more dimensions"),
    ],
)
def test_refuses_constants_that_are_not(shape, reason):
    rank = max(4, len(shape))
    result = ",".join(["A", "B", "C", "D", "E"][:rank])
    refuses(conv_mul, model("Mul (z, c)", result=result), {**WEIGHTS, "c": numbers(*shape)}, reason=reason)


def test_refuses_a_width_vector_as_long_as_the_channels():
    text = "agraph (float[N,6,8,4] x) => (float[N,4,8,4] y) { z = Conv (x, w) y = Mul (z, c) }"
    refuses(conv_mul, text, {"w": (4, 6, 1, 1), "c": numbers(4)}, reason="along axis 3")


def test_refuses_a_constant_that_makes_more_channels():
    text = model("Mul (z, c)", "Conv (x, w)", "N,3,8,8")
    refuses(conv_mul, text, {"w": (1, 6, 1, 1), "c": numbers(3, 1, 1)}, reason="has 3 channels, not 1")


def test_refuses_a_copy_of_large_shared_weights():
    text = "agraph (float[N,96,2,2] x) => (float[N,96,2,2] y) { z = Conv (x, w) a = Mul (z, c) y = Conv (a, w) }"
    refuses(conv_mul, text, {"w": (96, 96, 1, 1), "c": numbers(96, 1, 1)}, reason="a second copy is large")


def test_refuses_division_by_zero():
    refuses(
        conv_mul,
        model("Div (z, c)"),
        {**WEIGHTS, "c": np.array([[[1]], [[0]], [[2]], [[3]]], np.float32)},
        reason="zero",
    )


def test_refuses_the_reciprocal():
    refuses(conv_mul, model("Div (c, z)"), {**WEIGHTS, "c": numbers(4, 1, 1)})


def test_refuses_an_infinite_factor():
    refuses(conv_mul, model("Mul (z, c)"), {**WEIGHTS, "c": np.float32(np.inf)}, reason="do not fit")


def test_refuses_half_precision_that_vanishes():
    text = "agraph (float16[N,6,8,8] x) => (float16[N,4,8,8] y) { z = Conv (x, w) y = Mul (z, c) }"
    given = {"w": np.full((4, 6, 1, 1), 1.1e-3, np.float16), "c": np.float16(1.1e-3)}
    refuses(conv_mul, text, given, reason="do not fit float16")


def test_half_precision():
    text = "agraph (float16[N,6,8,8] x) => (float16[N,4,8,8] y) { z = Conv (x, w) y = Mul (z, c) }"
    weights = np.random.default_rng(0).standard_normal((4, 6, 1, 1)).astype(np.float16)
    fires(conv_mul, text, {"w": weights, "c": numbers(4, 1, 1).astype(np.float16)}, leaves=["Conv"])


def test_refuses_a_bias_computed_at_run_time():
    text = "agraph (float[N,6,8,8] x, float[4] b) => (float[N,4,8,8] y) { z = Conv (x, w, b) y = Mul (z, c) }"
    refuses(conv_mul, text, {"w": (4, 6, 1, 1), "c": numbers(4, 1, 1)})


def test_refuses_a_factor_computed_at_run_time():
    text = "agraph (float[N,6,8,8] x, float[4,1,1] c) => (float[N,4,8,8] y) { z = Conv (x, w) y = Mul (z, c) }"
    refuses(conv_mul, text, {"w": (4, 6, 1, 1)})


OLD = '<ir_version: 3, opset_import: ["" : 6]>\n'


@pytest.mark.parametrize(("attrs", "shape"), [("axis = 1, broadcast = 1", (4,)), ("broadcast = 1", (4, 1, 1))])
def test_old_broadcasting(attrs, shape):
    """ONNX Runtime has no Mul of opset 6, so what is made is compared with the formula."""
    text = model(f"Mul <{attrs}> (z, c)", "Conv (x, w)", header=OLD)
    result = apply(conv_mul, text, {"w": np.ones((4, 6, 1, 1), np.float32), "c": numbers(*shape)})
    made = result.model.graph.nodes[0].inputs[1].values
    np.testing.assert_array_equal(made, np.broadcast_to(numbers(*shape).reshape(4, 1, 1, 1), (4, 6, 1, 1)))


def test_refuses_old_broadcasting_along_the_width():
    text = model("Mul <axis = 3, broadcast = 1> (z, c)", "Conv (x, w)", header=OLD)
    refuses(conv_mul, text, {"w": (4, 6, 1, 1), "c": numbers(8)}, reason="along axis 3")
