"""Whole residual blocks go: those that change the least."""

from __future__ import annotations

import numpy as np
import pytest

import graphopt
from graphopt.errors import UsageError
from graphopt.numerics.run import InProcess
from tests.support import operators, proto

NETWORK = """
g (float[n, 4, 5, 5] x) => (float[n, 3] y) {
    start = Conv(x, w0)
    a = Conv(start, small)
    first = Add(a, start)
    r = Relu(first)
    b = Conv(r, w2)
    second = Add(r, b)
    c = Conv(second, small)
    d = Relu(c)
    third = Add(second, d)
    wide = Conv(third, w4)
    shortcut = Conv(third, w5)
    fourth = Add(wide, shortcut)
    p = GlobalAveragePool(fourth)
    f = Flatten(p)
    y = MatMul(f, w6)
}
"""
WEIGHTS = {
    "w0": (4, 4, 1, 1),
    "w2": (4, 4, 1, 1),
    "w4": (8, 4, 1, 1),
    "w5": (8, 4, 1, 1),
    "w6": (8, 3),
    "small": np.full((4, 4, 1, 1), 1e-3, "f4"),
}
FEEDS = {"x": np.random.default_rng(0).standard_normal((6, 4, 5, 5)).astype("f4")}


@pytest.fixture
def samples(tmp_path):
    path = tmp_path / "samples.npz"
    np.savez(path, **FEEDS)
    return path


def optimize(passes, **options):
    return graphopt.optimize(proto(NETWORK, WEIGHTS), passes=passes, runner=InProcess(), **options)


def test_blocks_that_change_little_go(samples):
    result = optimize("depth:blocks=2", calibration=samples)
    assert not result.report.rolled_back
    assert operators(result.model) == {
        "Conv": 4,
        "Add": 2,
        "Relu": 1,
        "GlobalAveragePool": 1,
        "Flatten": 1,
        "MatMul": 1,
    }
    (table,) = result.report.tables
    assert [(row[0], row[2]) for row in table.rows] == [("first", "gone"), ("second", ""), ("third", "gone")]
    assert table.rows[0][1] < 0.01 < table.rows[1][1]


def test_what_is_left_computes_what_the_others_do(samples):
    kept = """
    g (float[n, 4, 5, 5] x) => (float[n, 3] y) {
        start = Conv(x, w0)  r = Relu(start)  b = Conv(r, w2)  second = Add(r, b)  wide = Conv(second, w4)
        shortcut = Conv(second, w5)  fourth = Add(wide, shortcut)  p = GlobalAveragePool(fourth)  f = Flatten(p)
        y = MatMul(f, w6)
    }
    """
    result = optimize("depth:blocks=2", calibration=samples)
    smaller, expected = (
        InProcess().run(model.SerializeToString(), FEEDS)[0]
        for model in (result.model.to_proto(), proto(kept, WEIGHTS))
    )
    np.testing.assert_allclose(smaller, expected, rtol=1e-5, atol=1e-6)


def test_blocks_are_chosen_by_name(samples):
    result = optimize("depth:blocks=1:keep=first+third", calibration=samples)
    assert [row[0] for row in result.report.tables[0].rows] == ["second"]


@pytest.mark.parametrize(
    ("passes", "reason"),
    [
        ("depth", "say how many blocks go"),
        ("depth:blocks=4", "the model has 3 residual blocks to choose from: first, second, third"),
        ("depth:blocks=1:only=nix*", "matches no residual block"),
        ("depth:blocks=0", "at least 1"),
    ],
)
def test_what_cannot_be_done_is_said(passes, reason, samples):
    with pytest.raises(UsageError, match=reason):
        optimize(passes, calibration=samples)


def test_without_samples_nothing_can_be_measured():
    with pytest.raises(UsageError, match="give --calibration or --data"):
        optimize("depth:blocks=1")
