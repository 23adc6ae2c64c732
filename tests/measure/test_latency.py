"""Turns and rounds, on a clock that only moves when a model runs."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphopt.measure.latency import (
    FEWEST_ROUNDS,
    LONGEST_TURN_S,
    MOST_ROUNDS,
    TRIAL_S,
    TURN_S,
    WARM_UPS,
    Pace,
    estimate,
    interleaved,
    pace,
    warm,
)

SECONDS = st.floats(1e-6, 10)


class Stage:
    """Models that take a known time, and a note of who ran when."""

    def __init__(self, *seconds: float) -> None:
        self.now, self.ran = 0.0, []
        self.models = [self._model(index, one) for index, one in enumerate(seconds)]

    def _model(self, index, seconds):
        def run():
            self.now += seconds
            self.ran.append(index)

        return run

    def clock(self) -> float:
        return self.now


def rng(seed=0):
    return np.random.default_rng(seed)


def test_every_run_is_timed_on_its_own():
    stage = Stage(1, 3)
    one, other = interleaved(stage.models, Pace(2, 3), rng(), stage.clock)
    np.testing.assert_array_equal(one, np.full((3, 2), 1))
    np.testing.assert_array_equal(other, np.full((3, 2), 3))


def test_a_turn_of_several_runs_begins_with_one_that_is_not_timed():
    stage = Stage(1, 3)
    interleaved(stage.models, Pace(2, 1), rng(), stage.clock)
    assert sorted(stage.ran) == [0, 0, 0, 1, 1, 1]


def test_in_a_round_every_model_has_one_turn_and_every_second_round_goes_backwards():
    stage = Stage(1, 1, 1)
    interleaved(stage.models, Pace(1, 4), rng(), stage.clock)
    rounds = [stage.ran[i : i + 3] for i in range(0, 12, 3)]
    assert all(sorted(one) == [0, 1, 2] for one in rounds)
    assert rounds[1] == rounds[0][::-1]
    assert rounds[3] == rounds[2][::-1]


def test_the_order_is_that_of_the_seed():
    def order(seed):
        stage = Stage(1, 1, 1)
        interleaved(stage.models, Pace(1, 20), rng(seed), stage.clock)
        return stage.ran

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_garbage_waits_until_the_end_and_not_longer():
    seen = []
    interleaved([lambda: seen.append(gc.isenabled())], Pace(1, 2), rng())
    assert seen == [False, False]
    assert gc.isenabled()


def test_garbage_is_collected_again_after_a_failure():
    with pytest.raises(ZeroDivisionError):
        interleaved([lambda: 1 // 0], Pace(1, 2), rng())
    assert gc.isenabled()


def test_an_estimate_is_the_median_of_a_few_runs():
    stage = Stage(0.001)
    late = iter([0, 1, 0, 0, 0])

    def run():
        stage.now += next(late) / 20
        stage.models[0]()

    assert estimate(run, stage.clock) == pytest.approx(0.001)


def test_a_slow_model_is_estimated_by_one_run():
    stage = Stage(TRIAL_S)
    assert estimate(stage.models[0], stage.clock) == TRIAL_S
    assert len(stage.ran) == 1


def test_a_model_is_warm_after_as_many_runs_whatever_they_take():
    stage = Stage(1)
    warm(stage.models[0])
    assert len(stage.ran) == WARM_UPS


@pytest.mark.parametrize(
    ("seconds", "runs"),
    [
        ([TURN_S / 10], 10),
        ([TURN_S * 2], 1),
        ([TURN_S / 10, TURN_S / 5], 10),
        ([TURN_S / 10, LONGEST_TURN_S / 4], 4),
        ([0, LONGEST_TURN_S * 2], 1),
    ],
)
def test_all_models_run_equally_often_in_their_turns(seconds, runs):
    assert pace(seconds, 1).runs == runs


def test_equal_models_have_an_equal_pace_whatever_they_were_estimated_at():
    assert pace([0.001, 0.005], 1) == pace([0.005, 0.001], 1)


@settings(deadline=None, max_examples=30)
@given(st.lists(SECONDS, min_size=1, max_size=4), st.floats(0.1, 10))
def test_a_pace_keeps_to_its_time_unless_there_would_be_too_few_rounds(seconds, limit):
    found = pace(seconds, limit)
    assert found.runs >= 1
    assert FEWEST_ROUNDS <= found.rounds <= MOST_ROUNDS
    stage = Stage(*seconds)
    interleaved(stage.models, found, rng(), stage.clock)
    assert stage.now <= limit * (1 + 1e-6) or found.rounds == FEWEST_ROUNDS
