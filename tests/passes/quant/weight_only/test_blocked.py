"""Matrices in few bits: within half a step, in parts, whatever their layout."""

from __future__ import annotations

import numpy as np
import pytest

from passes.quant.weight_only import blocked
from passes.quant.weight_only.blocked import Format, nearest

RNG = np.random.default_rng(0)
FLOAT16 = np.dtype(np.float16)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("rows", [32, 100, 7])
def test_every_weight_is_within_half_a_step(bits, rows, symmetric):
    matrix = RNG.standard_normal((rows, 13)).astype(np.float32)
    held, worst = nearest(matrix, Format(bits, 32, symmetric))
    steps = np.repeat(held.scales, 32, 1)[:, :rows].T
    assert held.dense().shape == matrix.shape
    assert (np.abs(held.dense() - matrix) <= steps * 0.501).all()
    assert worst == pytest.approx(0.5, abs=0.2)
    assert held.integers().max() < 2**bits


def test_parts_and_transposes_are_quantised_as_the_whole(monkeypatch):
    matrix = RNG.standard_normal((96, 40)).astype(np.float32)
    whole, _ = nearest(matrix, Format(4, 16))
    monkeypatch.setattr(blocked, "TILE", 64)
    for layout in (matrix, np.asfortranarray(matrix)):
        parts, _ = nearest(layout, Format(4, 16))
        assert np.array_equal(parts.codes, whole.codes)
        assert np.array_equal(parts.scales, whole.scales)


def test_zero_stays_zero_and_constant_columns_do_too():
    matrix = np.zeros((32, 3), np.float32)
    matrix[:, 1], matrix[::2, 2] = 5.0, -3.0
    held, _ = nearest(matrix, Format(4, 32))
    assert np.allclose(held.dense(), matrix, atol=1e-6)


def test_what_is_not_finite_shows_in_the_scales():
    matrix = np.ones((32, 3), np.float32)
    matrix[3, 0], matrix[4, 1] = np.nan, np.inf
    held, _ = nearest(matrix, Format(4, 32))
    assert np.isfinite(held.scales).all(axis=1).tolist() == [False, False, True]


def test_scales_are_what_their_dtype_can_hold():
    matrix = RNG.standard_normal((64, 5)).astype(np.float16)
    held, worst = nearest(matrix, Format(4, 32).fitting(64, FLOAT16))
    assert np.array_equal(held.scales, held.scales.astype(np.float16))
    assert worst <= 0.5 + 15 * 2.0**-10


@pytest.mark.parametrize(("rows", "block"), [(1, 16), (17, 32), (100, 128), (4096, 128)])
def test_blocks_are_no_larger_than_the_matrix_needs(rows, block):
    assert Format(4, 128).fitting(rows, FLOAT16).block == block


def test_some_columns_are_those_of_the_whole():
    held, _ = nearest(RNG.standard_normal((32, 10)).astype(np.float32), Format(2, 16))
    assert np.array_equal(held.part(slice(None, None, 3)).dense(), held.dense()[:, ::3])
