"""Models that are quantised already, and models from quantisation-aware training."""

import numpy as np
import pytest

import graphopt
from graphopt.errors import UsageError
from tests.passes.quant.nets import INTEGERS, convs, executed, quantised, run, samples, saved, sqnr
from tests.support import operators, proto

QAT = """
<ir_version: 8, opset_import: ["" : 13]>
net (float[N, 4, 8, 8] x) => (float[N, 4, 8, 8] y)
<float s = {0.03}, int8 z = {0}, float r = {0.05}, float t = {0.1}>
{
    xq = QuantizeLinear (x, s, z)
    xd = DequantizeLinear (xq, s, z)
    w0q = QuantizeLinear <axis = 0> (w0, ws, wz)
    w0d = DequantizeLinear <axis = 0> (w0q, ws, wz)
    a = Conv <pads = [1, 1, 1, 1]> (xd, w0d, b0)
    r0 = Relu (a)
    aq = QuantizeLinear (r0, r, z)
    ad = DequantizeLinear (aq, r, z)
    w1q = QuantizeLinear <axis = 0> (w1, ws, wz)
    w1d = DequantizeLinear <axis = 0> (w1q, ws, wz)
    c = Conv <pads = [1, 1, 1, 1]> (ad, w1d)
    cq = QuantizeLinear (c, t, z)
    cd = DequantizeLinear (cq, t, z)
    e = Add (cd, xd)
    eq = QuantizeLinear (e, t, z)
    y = DequantizeLinear (eq, t, z)
}
"""
"""A residual block with fake quantisation, signed and symmetric, as trainers export it."""
LEARNT = {
    "w0": (4, 4, 3, 3),
    "b0": (4,),
    "w1": (4, 4, 3, 3),
    "ws": np.full(4, 0.02, np.float32),
    "wz": np.zeros(4, np.int8),
}


@pytest.fixture
def data(tmp_path):
    return saved(tmp_path, x=samples())


@pytest.fixture
def twice(data):
    return quantised(convs(), data).model.to_proto()


def again(model, existing, data=None, **options):
    return quantised(model, data, f"quant:scheme=static:existing={existing}", **options)


def test_a_quantised_model_is_refused_with_what_can_be_asked_for(twice, data):
    with pytest.raises(UsageError, match=r"quantised already .*QuantizeLinear.*keep.*requantise, dequantise, or leave"):
        graphopt.optimize(twice, passes="quant", calibration=data)


@pytest.mark.parametrize("existing", ["dequantise", "keep"])
def test_neither_taking_back_nor_keeping_needs_data(twice, existing):
    found = executed(again(twice, existing).model)
    if existing == "keep":
        assert {op: found[op] for op in INTEGERS} == INTEGERS
    else:
        assert not any("Q" in op or "uantize" in op for op in found)


def test_taken_back_it_gives_what_it_gave(twice):
    x = samples(seed=2)
    result = again(twice, "dequantise", verify="region")
    assert not result.report.rolled_back
    assert sqnr(run(twice, x=x)[0], run(result.model, x=x)[0]) > 25


EVERY = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 8, 12, 12] x) => (float[N, 5] y) {
    a = Conv <pads = [1, 1, 1, 1]> (x, w0, b0)
    l = LeakyRelu (a)
    s = Sigmoid (l)
    m = Mul (l, s)
    t = Add (m, a)
    k = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (t)
    c = Concat <axis = 1> (k, k)
    d = Conv (c, w1)
    g = GlobalAveragePool (d)
    f = Flatten (g)
    h = Gemm <transB = 1> (f, w2, b2)
    u = MatMul (h, w3)
    y = Softmax (u)
}
"""
EVERY_WEIGHT = {"w0": (8, 8, 3, 3), "b0": (8,), "w1": (8, 16, 3, 3), "w2": (6, 8), "b2": (6,), "w3": (6, 5)}


@pytest.mark.parametrize("existing", ["dequantise", "keep"])
def test_the_format_of_operators_is_taken_apart_too(existing, tmp_path):
    x = samples((8, 8, 12, 12))
    net = proto(EVERY, EVERY_WEIGHT)
    first = quantised(net, saved(tmp_path, x=x), "quant:scheme=static:format=qoperator").model.to_proto()
    assert {"QLinearConv", "QLinearConcat", "QLinearAdd", "QLinearMul"} <= operators(first).keys()
    result = again(first, existing)
    if existing == "dequantise":
        assert not any(op.startswith("Q") for op in operators(result.model))
    else:
        assert executed(result.model)["QLinearConv"] == 2
    assert sqnr(run(first, x=x)[0], run(result.model, x=x)[0]) > 20


def test_kept_grids_stay_to_the_bit(twice):
    x = samples(seed=2)
    assert np.array_equal(run(twice, x=x)[0], run(again(twice, "keep").model, x=x)[0])


def test_quantised_anew_it_has_other_grids(twice, data):
    result = again(twice, "requantise", saved(data.parent, x=10 * samples()))
    found = executed(result.model)
    assert {op: found[op] for op in INTEGERS} == INTEGERS
    x = 10 * samples(seed=2)
    assert sqnr(run(convs(), x=x)[0], run(result.model, x=x)[0]) > 20 > sqnr(run(convs(), x=x)[0], run(twice, x=x)[0])


def test_left_it_is_left(twice, data):
    result = again(twice, "leave", data)
    assert operators(result.model) == operators(twice)


def test_fake_quantisation_is_made_to_fire_with_the_numbers_that_were_learnt():
    model = proto(QAT, LEARNT)
    result = again(model, "keep")
    found = executed(result.model)
    assert (found["QLinearConv"], found["QLinearAdd"], found["QuantizeLinear"], found["DequantizeLinear"]) == (
        2,
        1,
        1,
        1,
    )
    x = samples((8, 4, 8, 8))
    reference, got = run(model, x=x)[0], run(result.model, x=x)[0]
    assert sqnr(reference, got) > 25


def test_a_relu_that_only_the_grid_performed_becomes_one_again():
    text = """
    <ir_version: 8, opset_import: ["" : 13]>
    net (float[N, 4, 8, 8] x) => (float[N, 4, 8, 8] y) <float s = {0.03}, uint8 z = {0}>
    { a = Conv (x, w)
      q = QuantizeLinear (a, s, z)
      y = DequantizeLinear (q, s, z) }
    """
    result = again(proto(text, {"w": (4, 4, 1, 1)}), "dequantise")
    assert operators(result.model) == {"Conv": 1, "Relu": 1}
