"""Grids: what integers stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.quant.grid import INT8, UINT8, UINT16, asymmetric, symmetric

finite = st.floats(-(2.0**90), 2.0**90, width=32)


@given(low=finite, high=finite, dtype=st.sampled_from([UINT8, INT8, UINT16]))
def test_an_asymmetric_grid_holds_zero_and_its_range_within_half_a_step(low, high, dtype):
    low, high = min(low, high), max(low, high)
    grid = asymmetric(low, high, dtype)
    step = float(grid.scale)
    assert grid.dequantise(grid.quantise(np.zeros(1)))[0] == 0
    edges = np.array([low, high])
    assert np.all(np.abs(grid.dequantise(grid.quantise(edges)) - edges) <= step * 0.51 + np.abs(edges) * 1e-6)


@given(high=st.floats(2.0**-60, 2.0**60, width=32))
def test_it_does_not_reach_beyond_a_bound_at_which_saturation_is_to_cut(high):
    grid = asymmetric(0.0, high, UINT8)
    assert grid.bottom == 0
    assert np.float32(grid.scale) * np.float32(255) <= np.float32(high) * (1 + 1e-7)
    assert grid.top <= high


@given(values=st.lists(finite, min_size=1, max_size=8))
def test_a_weight_on_its_grid_is_within_half_a_step(values):
    array = np.asarray(values, np.float32)
    grid = symmetric(np.abs(array).max(), INT8)
    assert np.all(np.abs(grid.dequantise(grid.quantise(array)) - array) <= float(grid.scale) * (0.5 + 1e-4))
    assert abs(grid.quantise(array).astype(int)).max() <= 127


def test_nan_becomes_zero_and_infinities_the_ends():
    grid = asymmetric(-1, 1, UINT8)
    assert grid.quantise(np.array([-np.inf, np.inf])).tolist() == [0, 255]
    assert grid.quantise(np.array([np.nan])).tolist() == [0]


@pytest.mark.parametrize("axis", [0, 1])
def test_scales_along_an_axis(axis):
    values = np.array([[1.0, 100.0], [2.0, 50.0]])
    values = values if axis else values.T
    grid = symmetric(np.abs(values).max(axis=1 - axis), INT8, axis=axis)
    assert np.allclose(grid.dequantise(grid.quantise(values)), values, rtol=0.01)
    assert grid.scale.shape == (2,)


def test_where_everything_is_zero_the_scale_is_one():
    assert symmetric(np.zeros(2), INT8).scale.tolist() == [1, 1]
