"""What is concluded from timings: numbers worked out by hand, and laws on numbers that are drawn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from graphopt.measure.statistics import (
    CONFIDENCE,
    SEVERAL,
    Ratio,
    centre,
    log_ratio,
    ratio,
    signed_rank,
    signs,
    summary,
)

NUMBERS = st.floats(-3, 3, allow_subnormal=False)
ROWS = st.lists(NUMBERS, min_size=8, max_size=20)


def test_quantiles_of_a_hundred_runs():
    found = summary(range(101))
    assert (found.p50, found.p90, found.p99, found.mean, found.runs) == (50, 90, 99, 50, 101)
    assert found.percentiles == pytest.approx(range(0, 101, 5))


@pytest.mark.parametrize(("runs", "known"), [(9, (False, False)), (10, (True, False)), (100, (True, True))])
def test_quantiles_are_told_only_where_the_runs_suffice(runs, known):
    found = summary([1.0] * runs)
    assert (found.p90 is not None, found.p99 is not None) == known


def test_a_burst_in_a_few_rounds_does_not_matter():
    assert log_ratio([1, 1, 1, 9, 1], [2, 2, 50, 2, 2]) == pytest.approx(math.log(2))


def test_a_change_of_speed_between_rounds_does_not_matter():
    assert log_ratio([1, 4, 3, 8], [2, 8, 6, 16]) == pytest.approx(math.log(2))


def test_the_estimate_is_the_median_of_the_means_of_two():
    assert signed_rank([1.0, 2.0, 6.0])[0] == pytest.approx(np.median([1, 2, 6, 1.5, 3.5, 4]))


@pytest.mark.parametrize(
    ("count", "confidence", "left_out"), [(8, 0.99, 0), (12, 0.99, 7), (20, 0.99, 37), (6, 0.95, 0), (20, 0.95, 52)]
)
def test_the_ends_are_those_of_published_tables(count, confidence, left_out):
    """Critical values of the signed-rank statistic, two-sided."""
    row = [float(2**i) for i in range(count)]
    means = sorted((a + b) / 2 for a, b in itertools.combinations_with_replacement(row, 2))
    assert signed_rank(row, confidence)[1:] == (means[left_out], means[-1 - left_out])


@pytest.mark.parametrize(("count", "confidence"), [(7, 0.99), (5, 0.95), (1, 0.95)])
def test_few_measurements_say_nothing_with_much_confidence(count, confidence):
    assert signed_rank([0.1] * count, confidence)[1:] == (-math.inf, math.inf)
    assert signs([0.1] * count, confidence) == (-math.inf, math.inf)


@pytest.mark.parametrize(("count", "confidence"), [(6, 31 / 32), (7, 63 / 64), (8, CONFIDENCE), (30, CONFIDENCE)])
def test_the_ratio_of_a_few_measurements_says_that_its_confidence_is_less(count, confidence):
    found = ratio(range(count))
    assert found.confidence == confidence
    assert found.low > 0


def test_ratios_of_fewer_have_no_interval():
    found = ratio([0.1] * 5)
    assert (found.low, found.high) == (0, math.inf)
    assert not found.differs
    assert found.width == math.inf


@pytest.mark.parametrize("count", [6, 8, 10, 12])
def test_of_all_signs_of_errors_as_few_as_promised_lead_astray(count):
    """For errors whose signs are fair the interval misses 0 no more often than the confidence admits."""
    errors = np.random.default_rng(0).exponential(size=count)
    found = [ratio(errors * fair) for fair in itertools.product((-1, 1), repeat=count)]
    assert 0 < sum(one.differs for one in found) / 2**count <= 1 - found[0].confidence


@pytest.mark.parametrize("wild", [0.0, 0.1])
@pytest.mark.parametrize("count", [SEVERAL, 20])
def test_equal_models_are_told_apart_no_more_often_than_promised(count, wild):
    """1000 x 1 % is 10 +- 3.2, whether processes go wild or not."""
    rng = np.random.default_rng(count)
    assert sum(ratio(processes(rng, count, wild)).differs for _ in range(1000)) <= 20


def processes(rng, count, wild):
    """What processes say of two equal models; each goes wild with the chance `wild`."""
    return rng.normal(0, 0.01, count) + (rng.random(count) < wild) * rng.normal(0, 1, count)


@pytest.mark.parametrize("count", [*range(SEVERAL, 21)])
def test_one_process_gone_wild_carries_no_end_away(count):
    row = np.random.default_rng(count).normal(0, 0.01, count)
    for wild in (-1.0, 1.0):
        _, low, high = centre([*row[1:], wild])
        assert min(row[1:]) <= low < high <= max(row[1:])


def test_without_wild_ones_leaving_them_out_costs_a_tenth_of_the_width():
    rows = np.random.default_rng(3).normal(0, 0.01, (200, SEVERAL))
    plain, safe = (np.median([high - low for _, low, high in map(find, rows)]) for find in (signed_rank, centre))
    assert plain < safe < 1.15 * plain


@pytest.mark.parametrize(
    ("count", "confidence", "order"), [(8, 0.99, 1), (12, 0.99, 2), (15, 0.99, 3), (13, 0.995, 2), (9, 0.95, 2)]
)
def test_the_ends_of_the_sign_test_are_those_of_published_tables(count, confidence, order):
    assert signs(range(1, count + 1), confidence) == (order, count + 1 - order)


@settings(deadline=None)
@given(ROWS)
def test_the_estimate_lies_in_its_interval(row):
    value, low, high = centre(row)
    assert min(row) <= low <= value <= high <= max(row)


@settings(deadline=None)
@given(ROWS, NUMBERS)
def test_what_all_have_in_common_shifts_everything(row, shift):
    np.testing.assert_allclose(centre([x + shift for x in row]), np.add(centre(row), shift), atol=1e-9)


@settings(deadline=None)
@given(ROWS, st.randoms())
def test_the_order_of_the_measurements_does_not_matter(row, random):
    shuffled = random.sample(row, len(row))
    assert centre(row) == centre(shuffled)


@settings(deadline=None)
@given(ROWS)
def test_the_other_way_round_everything_is_inverted(row):
    one, other = ratio(row), ratio([-x for x in row]).inverse
    np.testing.assert_allclose((one.value, one.low, one.high), (other.value, other.low, other.high))
    assert one.differs == other.differs


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 10), min_size=1, max_size=50), st.floats(0.1, 10), st.integers(0, 2**32))
def test_rounds_that_are_slow_as_a_whole_do_not_matter(times, factor, seed):
    slow = np.random.default_rng(seed).uniform(1, 100, len(times))
    assert log_ratio(slow * times, factor * slow * times) == pytest.approx(math.log(factor), abs=1e-9)


@settings(deadline=None)
@given(ROWS, NUMBERS)
def test_one_measurement_gone_wild_moves_the_estimate_no_further_than_the_others_reach(row, wild):
    assume(len(row) >= 9)
    value, _, _ = centre([*row, 1e6 * wild])
    assert min(row) <= value <= max(row)


def test_a_ratio_differs_where_its_interval_does_not_hold_one():
    assert Ratio(1.1, 1.05, 1.15).differs
    assert Ratio(0.9, 0.85, 0.95).differs
    assert not Ratio(1.1, 0.99, 1.2).differs
    assert Ratio(2, 1.6, 2.5).inverse == Ratio(0.5, 0.4, 0.625)
