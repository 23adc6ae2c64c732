"""Each rule from the first opset on that has what it writes: older ones than ONNX Runtime runs, so nothing is run."""

from __future__ import annotations

import pytest

import graphopt
from passes.fuse.activation import clip, hard_sigmoid, hard_swish, leaky_relu, mish, prelu, relu, sigmoid
from tests.passes.fuse.activation.test_hard import OLD_CLIP
from tests.passes.fuse.activation.test_rectified import CLIP, LEAKY, PRELU
from tests.passes.fuse.activation.test_smooth import MISH, SIGMOID
from tests.passes.fuse.spelling import spelled
from tests.support import operators, proto

FIRST = [
    (clip, CLIP[0], 6, ["Clip"]),
    (hard_sigmoid, OLD_CLIP + "y = Div(c, 6.0)", 6, ["HardSigmoid"]),
    (hard_swish, OLD_CLIP + "m = Mul(x, c) y = Div(m, 6.0)", 6, ["HardSigmoid", "Mul"]),
    (leaky_relu, LEAKY[0], 6, ["LeakyRelu"]),
    (relu, "y = Clip<min=0.0>(x)", 6, ["Relu"]),
    (sigmoid, SIGMOID[0], 6, ["Sigmoid"]),
    (prelu, PRELU[0].replace("w)", "0.5)"), 7, ["LeakyRelu"]),
    (mish, MISH[0], 18, ["Mish"]),
]


@pytest.mark.parametrize(("rule", "body", "opset", "left"), FIRST, ids=[rule.name for rule, *_ in FIRST])
def test_since(rule, body, opset, left):
    model = proto(spelled(body, x="float[1]", rank=1, opset=opset))
    assert operators(graphopt.optimize(model, passes=[rule], verify="structure").model) == dict.fromkeys(left, 1)
