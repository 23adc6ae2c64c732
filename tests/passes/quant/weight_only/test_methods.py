"""Ways to round: each is better than the nearest point by the measure that it minimises."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.errors import UsageError
from passes.quant.weight_only.awq import scaled
from passes.quant.weight_only.blocked import Format, extremes, in_blocks, nearest
from passes.quant.weight_only.gptq import compensated
from passes.quant.weight_only.hqq import half_quadratic
from passes.quant.weight_only.methods import METHODS
from passes.quant.weight_only.moments import Moments
from tests.support import apply, operators

RNG = np.random.default_rng(0)
FORMATS = [Format(bits, 32, symmetric) for bits in (2, 4) for symmetric in (False, True)]


def heavy(rows, columns):
    """Weights with outliers, as trained networks have them."""
    return RNG.standard_t(4, (rows, columns)).astype(np.float32)


def fed(terms, count=400):
    """What a product is fed: few directions, and some terms much more than others."""
    mixed = RNG.standard_normal((count, terms // 4)) @ RNG.standard_normal((terms // 4, terms))
    moments = Moments.none(terms)
    moments.add((mixed * RNG.uniform(0.1, 3, terms) ** 2).astype(np.float32))
    return moments


def error(matrix, held, factors=None, moments=None):
    dense = held.dense() if factors is None else held.dense() / factors[:, None]
    away = (dense - matrix).astype(np.float64)
    return (away**2).sum() if moments is None else (away * (moments.gram @ away)).sum()


@pytest.mark.parametrize("fmt", FORMATS)
def test_half_quadratic_is_nearer_in_squares_for_every_block(fmt):
    matrix = heavy(96, 24)
    plain, fitted = (nearest(matrix, fmt, choice)[0] for choice in (extremes, half_quadratic))
    away = [((in_blocks(held.dense() - matrix, 32)) ** 2).sum(axis=1) for held in (plain, fitted)]
    assert (away[1] <= away[0] * 1.0001).all()
    assert away[1].sum() < 0.97 * away[0].sum()


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("rows", [96, 80])
def test_compensation_serves_what_is_fed(fmt, rows):
    matrix, moments = heavy(rows, 24), fed(rows)
    plain, held = nearest(matrix, fmt)[0], compensated(matrix, fmt, moments.gram)
    assert error(matrix, held, moments=moments) < 0.7 * error(matrix, plain, moments=moments)


def test_compensation_knows_rows_that_are_fed_nothing():
    matrix, moments = heavy(64, 8), fed(64)
    moments.gram[5] = moments.gram[:, 5] = 0
    held = compensated(matrix, Format(4, 32), moments.gram)
    assert np.isfinite(held.scales).all()
    assert held.dense()[5] == pytest.approx(0)


def test_scaled_rows_serve_what_is_fed():
    matrix, moments = heavy(96, 24), fed(96)
    plain = nearest(matrix, Format(4, 32))[0]
    held, factors = scaled(matrix, Format(4, 32), moments)
    assert factors is not None
    assert error(matrix, held, factors, moments) < 0.9 * error(matrix, plain, moments=moments)


def test_rows_that_are_fed_alike_need_no_factors():
    moments = Moments(np.eye(32), np.ones(32), np.ones((4, 32), np.float32), 4)
    assert scaled(heavy(32, 8), Format(4, 32), moments)[1] is None


def test_moments_leave_out_what_is_not_finite():
    moments = Moments.none(3)
    moments.add(np.array([[[1, 2, 3], [np.nan, 0, 0]]], np.float32))
    assert moments.count == 1
    assert np.array_equal(moments.gram, np.outer([1, 2, 3], [1, 2, 3]))


NET = """agraph (float[N, 32] x) => (float[N, 16] y) {
    [first] a = MatMul(x, w)  b = Relu(a)  [second] y = Gemm(b, v, c)
}"""
WEIGHTS = {"w": (32, 64), "v": (64, 16), "c": (16,)}


@pytest.fixture
def samples(tmp_path):
    values = RNG.standard_normal((64, 8)) @ RNG.standard_normal((8, 32))
    np.savez(tmp_path / "samples.npz", x=values.astype(np.float32))
    return tmp_path / "samples.npz"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_an_option_and_its_layers_are_checked(method, samples):
    result = apply(f"quant:scheme=int4:block=32:method={method}", NET, WEIGHTS, calibration=samples)
    assert result.report.hits == {"weight_only": 2}
    assert operators(result.model)["MatMulNBits"] == 2
    assert result.report.whole.error > 12


def test_layers_are_checked_on_what_they_are_fed(samples):
    plain, better = (
        apply(f"quant:scheme=int4:block=32:method={method}:floor=0", NET, WEIGHTS, calibration=samples, feeds=None)
        for method in ("hqq", "gptq")
    )
    assert all("columns were run" in entry.verdict.detail for entry in better.report.rewrites)
    assert min(e.verdict.error for e in better.report.rewrites) > min(e.verdict.error for e in plain.report.rewrites)


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_a_method_that_needs_data_says_so(method):
    with pytest.raises(UsageError, match=f"{method} looks at what products are fed: give --calibration"):
        apply(f"quant:scheme=int4:method={method}", NET, WEIGHTS)
