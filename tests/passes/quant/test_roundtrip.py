"""Weights that are read back are near what they were: half a step to the nearest, one by least squares."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from passes.quant import plan, roundtrip
from passes.quant.grid import symmetric
from tests.passes.quant.nets import convs, quantised, samples, saved
from tests.support import operators


@pytest.fixture
def data(tmp_path):
    return saved(tmp_path, x=samples((64, 3, 12, 12)))


@pytest.mark.parametrize("how", ["nearest", "products"])
@pytest.mark.parametrize("bits", [4, 8])
def test_layers_keep_what_their_rounding_promises(data, how, bits):
    found = quantised(convs(), data, f"quant:scheme=static:bits={bits}:rounding={how}:floor=-50", verify="region")
    assert operators(found.model)["DequantizeLinear"] > 3
    assert not found.report.rolled_back


def wrong(by, allowed):
    """A rounding to the nearest, after which one weight goes on by so many steps."""
    right = plan.rounded

    def rounded(unit, read, manner):
        weight = right(unit, read, manner)
        values = weight.values.copy()
        values[np.unravel_index(np.argmin(np.abs(values)), values.shape)] += by
        return replace(weight, values=values, moves=allowed)

    return rounded


@pytest.mark.parametrize(("by", "allowed", "undone"), [(0, 0.5, 0), (1, 0.5, 3), (1, 1.5, 0), (2, 1.0, 3)])
def test_a_wrong_rounding_is_undone_though_layers_are_close_enough(data, monkeypatch, by, allowed, undone):
    monkeypatch.setattr(plan, "rounded", wrong(by, allowed))
    asked = "quant:scheme=static:rounding=nearest:calibrate=minmax:floor=-50"
    found = quantised(convs(), data, asked, verify="region")
    assert len([one for one in found.report.rolled_back if "steps of its grid" in one.verdict.detail]) == undone


@pytest.mark.parametrize("values", [[[0.0, 0.5, 1.0]], [[]]])
def test_how_far_weights_moved(values):
    real = np.array(values, np.float32)
    grid = symmetric(np.ones(1), np.dtype(np.int8), axis=0)
    unit = SimpleNamespace(own_weight=SimpleNamespace(values=real))
    most = roundtrip.moved(unit, plan.Weight(grid.quantise(real), grid, None))
    assert most == pytest.approx(0.5 if real.size else 0.0, abs=1e-4)
