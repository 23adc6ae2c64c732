"""Shapes that are put together, conditions that are turned round, and convolutions with what follows."""

from __future__ import annotations

import numpy as np
import pytest

from tests.published.checks import leaves, model

NOTHING = dict.fromkeys(("Shape", "Gather", "Unsqueeze", "Slice", "Concat", "Squeeze", "Div"), 0)
PART = "s{i} = Shape(x) g{i} = Gather(s{i}, i{i}) u{i} = Unsqueeze(g{i}, zero)"
INDICES = {"zero": np.array([0]), **{f"i{i}": np.int64(i) for i in range(4)}}
CUT = {"first": np.array([2]), "last": np.array([3])}


def parts(*axes: int) -> str:
    """Lengths of the input, one by one."""
    return " ".join(PART.format(i=axis) for axis in axes)


def reshaped(body: str, *, shape: str = "10, 20, 30", outputs: str = "float[10, 20, 30] y") -> str:
    return model(f"{body} y = Reshape(x, lengths)", f"float[{shape}] x", outputs, opset=13)


def known(*names: str) -> dict[str, object]:
    return {name: (INDICES | CUT)[name] for name in names}


def test_lengths_of_the_input():
    body = f"{parts(0, 1)} lengths = Concat<axis = 0>(u0, u1, rest)"
    weights = known("zero", "i0", "i1") | {"rest": np.array([-1])}
    leaves(reshaped(body, shape="a, b, c", outputs="float[a, b, c] y"), NOTHING, weights)


def test_a_length_that_is_an_output():
    body = f"{parts(0, 2, 3)} lengths = Concat<axis = 0>(u0, half, u2, u3, rest)"
    text = reshaped(body, shape="n, 256, h, w", outputs="float[n, 128, h, w, 2] y, int64 g3")
    weights = known("zero", "i0", "i2", "i3") | {"half": np.array([128]), "rest": np.array([-1])}
    leaves(text, {"Reshape": 1, "Shape": 1, "Gather": 1, "Unsqueeze": 0, "Concat": 0}, weights)


def test_a_length_by_a_slice():
    body = f"{parts(0, 1)} s = Shape(x) c = Slice(s, first, last) lengths = Concat<axis = 0>(u0, u1, c)"
    leaves(reshaped(body), NOTHING, known("zero", "i0", "i1", "first", "last"))


def test_a_length_that_is_divided():
    body = (
        f"{parts(0, 1)} s = Shape(x) c = Slice(s, first, last) q = Squeeze(c, zero) d = Div(q, one)"
        " u = Unsqueeze(d, zero) lengths = Concat<axis = 0>(u0, u1, u)"
    )
    leaves(reshaped(body), NOTHING, known("zero", "i0", "i1", "first", "last") | {"one": np.int64(1)})


def test_lengths_that_can_be_overridden_stay():
    text = model("lengths = Concat<axis = 0>(a) y = Reshape(x, lengths)", "float[2, 3, 4] x, int64[3] a",
                 "float[p, q, r] y", opset=13)  # fmt: skip
    made = leaves(text, {"Reshape": 1}, {"a": np.array([1, 1, 24])})
    assert made.graph.nodes[-1].inputs[1].name == "a"


def test_conditions_are_turned_round():
    body = "n = Not(c) a = Where(n, v0, v1) m = Not(n) b = Where(m, v0, v1)"
    text = model(body, "bool[M, K] c", "float[M, K] a, float[M, K] b")
    leaves(text, {"Not": 0, "Where": 2}, {"v0": np.float32([1]), "v1": np.float32([-1])})


PAD = 'p = Pad<mode = "constant", pads = [0, 0, 1, 1, 0, 0, 1, 1]>(x) '


@pytest.mark.parametrize(
    ("attributes", "size", "left"),
    [("", 3, 1), (", pads = [1, 1, 0, 0], count_include_pad = 1", 4, 1), (", pads = [1, 1, 0, 0]", 4, 2)],
)
def test_padding_before_a_mean(attributes, size, left):
    body = f"{PAD} y = AveragePool<kernel_shape = [3, 3]{attributes}>(p)"
    made = leaves(model(body, "float[1, 1, 3, 3] x", f"float[1, 1, {size}, {size}] y", opset=7), {"AveragePool": 1})
    assert len(made.graph.nodes) == left


@pytest.mark.parametrize(
    ("activation", "target"),
    [
        ("Relu(c)", "ort"),
        ("Sigmoid(c)", "cpu"),
        ("Tanh(c)", "cpu"),
        ("LeakyRelu<alpha = 0.2>(c)", "cpu"),
        ("HardSigmoid<alpha = 0.3, beta = 0.4>(c)", "cpu"),
        ("Clip(c, low, high)", "cpu"),
    ],
)
def test_an_activation_behind_a_convolution(activation, target):
    text = model(f"c = Conv(x, w) y = {activation}", "float[1, 3, 8, 8] x", "float[1, 4, 6, 6] y")
    bounds = {"low": np.float32(-1), "high": np.float32(1)} if "low" in activation else {}
    made = leaves(text, {"FusedConv": 1}, {"w": (4, 3, 3, 3)} | bounds, target=target)
    assert len(made.graph.nodes) == 1


def test_padding_before_a_convolution_with_an_activation():
    text = model(f"{PAD} c = Conv(p, w) y = Relu(c)", "float[1, 3, 8, 8] x", "float[1, 4, 8, 8] y", opset=10)
    leaves(text, {"Pad": 0, "FusedConv": 1}, {"w": (4, 3, 3, 3)})
