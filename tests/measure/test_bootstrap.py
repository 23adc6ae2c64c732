"""Intervals: they hold the truth as often as they say, and a difference is judged pair by pair."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphopt.measure.bootstrap import Estimate, estimates
from graphopt.measure.metrics.metric import mean

RNG = np.random.default_rng(0)


def kept(hits):
    return np.stack([hits, np.ones(len(hits))], axis=1).astype(float)


def two(first, second, **options):
    found = estimates([kept(first), kept(second)], mean, **{"resamples": 1000, "seed": 0, **options})
    return found[0][0], found[1][1]


def test_the_score_is_that_of_all_samples_and_lies_in_its_interval():
    hits = RNG.random(200) < 0.8
    score, _ = two(hits, hits)
    assert score.value == hits.mean()
    assert score.low < score.value < score.high
    error = np.sqrt(score.value * (1 - score.value) / 200)  # of a share
    assert (score.high - score.low) / 2 == pytest.approx(1.96 * error, rel=0.1)


def test_of_100_intervals_95_hold_the_truth():
    held = 0
    for trial in range(100):
        rng = np.random.default_rng(trial)
        score, _ = two(rng.random(100) < 0.7, np.zeros(100), resamples=300, seed=trial)
        held += score.low <= 0.7 <= score.high
    assert 90 <= held <= 99


def test_a_difference_is_far_more_certain_than_the_scores_if_samples_are_the_same():
    first = RNG.random(1000) < 0.6
    second = first.copy()
    second[np.flatnonzero(~first)[:30]] = True
    score, difference = two(first, second)
    assert difference.value == pytest.approx(0.03)
    assert difference.certain
    assert difference.high - difference.low < (score.high - score.low) / 2


def test_noise_is_not_sold_as_a_gain():
    certain = 0
    for trial in range(100):
        rng = np.random.default_rng(trial)
        first, second = (rng.random(200) < 0.7 for _ in range(2))
        certain += two(first, second, resamples=300, seed=trial)[1].certain
    assert certain <= 10


def test_the_same_samples_make_no_difference():
    hits = RNG.random(50) < 0.5
    _, difference = two(hits, hits)
    assert (difference, difference.certain) == (Estimate(0.0, 0.0, 0.0), False)


def test_draws_depend_on_the_seed_alone():
    hits = RNG.random(80) < 0.5
    first, again, other = (two(hits, ~hits, seed=seed, resamples=20) for seed in (3, 3, 4))
    assert first == again != other


def test_too_few_samples_have_no_interval_and_neither_has_what_is_not_drawn():
    assert two([1], [0]) == (Estimate(1.0), Estimate(-1.0))
    assert two([1] * 5, [0] * 5) == (Estimate(1.0), Estimate(-1.0))
    assert two([1] * 6, [0] * 6)[1].certain
    assert two([1, 0] * 4, [0, 0] * 4, resamples=0) == (Estimate(0.5), Estimate(-0.5))
    assert not Estimate(1.0).certain


def test_infinite_and_missing_scores_are_kept_apart():
    def score(rows, weights):
        return math.inf if rows[0, 0] else math.nan

    rows = [np.ones((9, 1)), np.ones((9, 1)), np.zeros((9, 1))]
    (first, _), (_, same), (other, _) = estimates(rows, score, resamples=10, seed=0)
    assert first == Estimate(math.inf, math.inf, math.inf)
    assert same == Estimate(0.0, 0.0, 0.0)
    assert math.isnan(other.value)
    assert other.low is None
