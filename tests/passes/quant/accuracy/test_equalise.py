"""Channels that share a scale are made alike, and nothing that the model computes changes by it."""

import numpy as np
import pytest

import graphopt
from graphopt.numerics.run import InProcess
from tests.passes.quant.nets import saved
from tests.support import proto

RNG = np.random.default_rng(0)
UNEVEN = np.array([1, 0.01, 30, 0.1, 1, 3, 0.001, 10], np.float32)
HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
PAIR = (
    HEAD
    + """net (float[N, 3, 8, 8] x) => (float[N, 4, 6, 6] y) {
    a = Conv <pads = [1, 1, 1, 1]> (x, w0, b0)
    r = Relu (a)
    y = Conv (r, w1)
}"""
)
CHAIN = (
    HEAD
    + """net (float[N, 3, 8, 8] x) => (float[N, 4, 4, 4] y) {
    a = Conv <pads = [1, 1, 1, 1]> (x, w0, b0)
    r = Relu (a)
    d = Conv <group = 8> (r, w2)
    s = LeakyRelu (d)
    y = Conv (s, w1)
}"""
)
NORMALISED = (
    HEAD
    + """net (float[N, 4, 8] x) => (float[N, 4, 6] y, float[N, 4, 5] z) {
    n = LayerNormalization (x, gain, shift)
    y = MatMul (n, w3)
    z = MatMul (n, w4)
}"""
)
SKIPPING = """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
net (float[N, 4, 8] x) => (float[N, 4, 6] y, float[N, 4, 8] s) {
    n, none, nothing, s = com.microsoft.SkipLayerNormalization (x, x, gain, shift)
    y = MatMul (n, w3)
}"""
WITHOUT_SHIFT = SKIPPING.replace("Skip", "SkipSimplified").replace(", shift", "").replace("none, nothing", ", ")
WEIGHTS = {
    "w0": RNG.standard_normal((8, 3, 3, 3)).astype(np.float32) * UNEVEN.reshape(-1, 1, 1, 1),
    "b0": RNG.standard_normal(8).astype(np.float32) * UNEVEN,
    "w1": RNG.standard_normal((4, 8, 3, 3)).astype(np.float32) / UNEVEN.reshape(1, -1, 1, 1),
    "w2": RNG.standard_normal((8, 1, 3, 3)).astype(np.float32),
    "gain": UNEVEN,
    "shift": np.zeros(8, np.float32),
    "w3": RNG.standard_normal((8, 6)).astype(np.float32) / UNEVEN.reshape(-1, 1),
    "w4": RNG.standard_normal((8, 5)).astype(np.float32) / UNEVEN.reshape(-1, 1),
}
SHAPES = {
    PAIR: (64, 3, 8, 8),
    CHAIN: (64, 3, 8, 8),
    NORMALISED: (64, 4, 8),
    SKIPPING: (64, 4, 8),
    WITHOUT_SHIFT: (64, 4, 8),
}


def model(text):
    return proto(text, {name: values for name, values in WEIGHTS.items() if name in text})


def made(text, folder, equalise):
    data = saved(folder, x=RNG.standard_normal(SHAPES[text]).astype(np.float32))
    return graphopt.optimize(
        model(text), passes=f"quant:scheme=static:equalise={equalise}:floor=-100", target="x64-vnni", verify="region",
        calibration=data, runner=InProcess(),
    )  # fmt: skip


def noise(text, result, folder):
    found = graphopt.evaluate([model(text), result.model], folder / "data.npz", "sqnr")
    return found.score("sqnr", 1).value.value


@pytest.mark.parametrize(("text", "count"), [(PAIR, 1), (CHAIN, 2), (NORMALISED, 1), (SKIPPING, 1), (WITHOUT_SHIFT, 1)])
def test_quantised_outputs_are_better(text, count, tmp_path):
    uneven, even = (made(text, tmp_path, equalise) for equalise in ("no", "yes"))
    assert not even.report.rolled_back
    rules = [rewrite.rule for rewrite in even.report.rewrites]
    assert rules.count("equalise_channels") == count
    assert "equalise_channels" not in [rewrite.rule for rewrite in uneven.report.rewrites]
    assert noise(text, even, tmp_path) > noise(text, uneven, tmp_path) + 6


@pytest.mark.parametrize(
    "text",
    [
        PAIR.replace("y = Conv (r, w1)", "u = Conv (r, w1)\n m = ReduceMax (r)\n y = Add (u, m)"),
        PAIR.replace("r = Relu (a)", "r = Sigmoid (a)"),
        PAIR.replace("(float[N, 4, 6, 6] y)", "(float[N, 4, 6, 6] y, float[N, 8, 8, 8] r)"),
    ],
    ids=["read by others", "not homogeneous", "returned"],
)
def test_left_alone(text, tmp_path):
    SHAPES[text] = SHAPES[PAIR]
    rules = [rewrite.rule for rewrite in made(text, tmp_path, "yes").report.rewrites]
    assert "equalise_channels" not in rules
