import numpy as np
import pytest

from passes.fuse.linear import mul_conv
from tests.support import fires, refuses


def model(first, conv="Conv <pads = [1,1,1,1]> (z, w, b)", image="3,8,9", result="N,M,H,W"):
    return f"agraph (float[N,{image}] x) => (float[{result}] y) {{ z = {first} y = {conv} }}"


WEIGHTS = {"w": (4, 3, 3, 3), "b": (4,)}


def numbers(*shape):
    return np.random.default_rng(5).uniform(0.5, 2, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1), (3, 1, 1), (1, 3, 1, 1)])
@pytest.mark.parametrize("first", ["Mul (x, c)", "Mul (c, x)", "Div (x, c)"])
def test_every_constant_that_is_one_number_for_each_channel(first, shape):
    fires(mul_conv, model(first), {**WEIGHTS, "c": numbers(*shape)}, leaves=["Conv"])


@pytest.mark.parametrize(
    ("conv", "weights"),
    [
        ("Conv <group = 2> (z, w)", (4, 3, 3, 3)),
        ("Conv <group = 6> (z, w)", (12, 1, 3, 3)),
        ("ConvTranspose (z, w)", (6, 4, 3, 3)),
        ("ConvTranspose <group = 3> (z, w)", (6, 4, 3, 3)),
    ],
)
def test_groups(conv, weights):
    text = model("Mul (x, c)", conv, "6,8,9")
    fires(mul_conv, text, {"w": weights, "c": numbers(6, 1, 1)}, leaves=[conv.split()[0]])


def test_the_bias_may_be_computed_at_run_time():
    text = "agraph (float[N,3,8,8] x, float[4] b) => (float[N,4,8,8] y) { z = Mul (x, c) y = Conv (z, w, b) }"
    fires(mul_conv, text, {"w": (4, 3, 1, 1), "c": numbers(3, 1, 1)}, leaves=["Conv"])


@pytest.mark.parametrize(("shape", "reason"), [((9,), "along axis 3"), ((8, 1), "along axis 2")])
def test_refuses_other_constants(shape, reason):
    refuses(mul_conv, model("Mul (x, c)"), {**WEIGHTS, "c": numbers(*shape)}, reason=reason)


def test_refuses_a_grey_picture_that_the_constant_makes_coloured():
    refuses(mul_conv, model("Mul (x, c)", image="1,8,9"), {**WEIGHTS, "c": numbers(3, 1, 1)}, reason="3 channels")


def test_refuses_channels_that_are_not_known():
    refuses(mul_conv, model("Mul (x, c)", image="C,8,9"), {**WEIGHTS, "c": numbers(3, 1, 1)}, reason="3 channels")


def test_one_number_needs_no_channels():
    fires(
        mul_conv,
        model("Mul (x, c)", "Conv (z, w)", image="3,H,W"),
        {"w": (4, 3, 1, 1), "c": numbers(1)},
        leaves=["Conv"],
    )


def test_refuses_an_input_without_a_batch():
    text = "agraph (float[3,8,9] x) => (float[1,4,8,9] y) { z = Mul (x, c) y = Conv (z, w) }"
    refuses(mul_conv, text, {"w": (4, 3, 1, 1), "c": numbers(1, 3, 1, 1)}, reason="4 dimensions")


def test_refuses_a_copy_of_large_shared_weights():
    text = "agraph (float[N,96,2,2] x) => (float[N,96,2,2] y) { z = Mul (x, c) a = Conv (z, w) y = Conv (a, w) }"
    refuses(mul_conv, text, {"w": (96, 96, 1, 1), "c": numbers(96, 1, 1)}, reason="a second copy is large")


def test_refuses_division_by_zero():
    refuses(mul_conv, model("Div (x, c)"), {**WEIGHTS, "c": np.zeros((3, 1, 1), np.float32)}, reason="zero")


def test_refuses_another_reader_between():
    text = """agraph (float[N,3,8,8] x) => (float[N,4,8,8] y, float[N,3,8,8] u) {
      z = Mul (x, c)
      y = Conv (z, w)
      u = Relu (z)
    }"""
    refuses(mul_conv, text, {"w": (4, 3, 1, 1), "c": numbers(3, 1, 1)})


BELL = "d = Div(x, root) e = Erf(d) s = Add(e, one) p = Mul(x, s) h = Mul(p, half) y = Conv(h, w)"


def test_a_factor_that_makes_an_activation_stays():
    head = '<ir_version: 8, opset_import: ["" : 17]> g (float[n, 3, 8, 8] x) => (float[n, 4, 6, 6] y)'
    numbers = {"root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5), "w": (4, 3, 3, 3)}
    refuses(mul_conv, f"{head} {{ {BELL} }}", numbers, reason="part of an activation")
    fires("fuse,blocks,clean", f"{head} {{ {BELL} }}", numbers, leaves=["Gelu", "Conv"])
    fires(mul_conv, f"{head} {{ {BELL} }}", numbers, leaves=["Div", "Erf", "Add", "Mul", "Conv"], target="portable")
