"""One process after another, until that is enough: on timings that are made up."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphopt.measure import course as module
from graphopt.measure.course import FEWEST, MOST, SURE, Limits, ratio_of
from graphopt.measure.execution import Timings
from graphopt.measure.statistics import Ratio

LIMITS = Limits(seconds=10, precision=0.01)
NARROW, WIDE = Ratio(1.2, 1.199, 1.201), Ratio(1.2, 1.1, 1.3)


@pytest.mark.parametrize(
    ("ratios", "processes", "seconds", "expected"),
    [
        ([NARROW], FEWEST - 1, 100, False),
        ([NARROW], SURE - 1, 0, False),
        ([NARROW], SURE, 0, True),
        ([NARROW, WIDE], SURE, 0, False),
        ([NARROW, WIDE], FEWEST, 10, True),
        ([WIDE], MOST, 0, True),
        ([], FEWEST, 0, False),
        ([], FEWEST, 10, True),
    ],
)
def test_it_ends_when_all_ratios_are_known_or_the_time_is_over(ratios, processes, seconds, expected):
    assert LIMITS.enough(ratios, processes, seconds) == expected


def timings(rng, factor, noise):
    """A process on a machine that is disturbed in bursts, in which the second model takes `factor` times as long."""
    rounds = rng.integers(2, 30)
    bursts = np.exp(rng.exponential(2, (rounds, 1)) * (rng.random((rounds, 1)) < 1 / 3))
    layout = np.exp(rng.normal(0, noise, 2))
    own = np.exp(np.abs(rng.normal(0, noise, (2, rounds, 4))))
    one, other = (base * bursts * layout[i] * own[i] for i, base in enumerate((1e-3, factor * 1e-3)))
    return Timings((0.1, 0.1), (one, other))


def measure(rng, factor, noise):
    """Processes until it is enough, as a course has them; each takes a second."""
    held = []
    while not LIMITS.enough([ratio_of(held, 1)] if len(held) >= FEWEST else [], len(held), len(held)):
        held.append(timings(rng, factor, noise))
    return ratio_of(held, 1)


@pytest.mark.parametrize("noise", [0.02, 0.2])
def test_equal_models_are_told_apart_no_more_often_than_promised(noise):
    """Also though it ends early when the interval happens to be narrow. 200 x 1 % is 2 +- 1.4."""
    rng = np.random.default_rng(1)
    assert sum(measure(rng, 1, noise).differs for _ in range(200)) <= 6


def test_a_tenth_more_work_is_found():
    rng = np.random.default_rng(2)
    found = [measure(rng, 1.1, 0.02) for _ in range(50)]
    assert all(one.low > 1 for one in found)
    assert sum(one.low <= 1.1 <= one.high for one in found) >= 47


def test_the_ratio_of_a_model_is_that_to_the_first():
    rows = [np.full((3, 2), seconds) for seconds in (2.0, 1.0, 8.0)]
    held = [Timings((0, 0, 0), tuple(rows))] * FEWEST
    assert ratio_of(held, 1).value == pytest.approx(0.5)
    assert ratio_of(held, 2).value == pytest.approx(4)


def test_the_idle_model_runs():
    from graphopt.measure.provider import open_session

    with open_session(module.idle()) as session:
        assert session.run({"x": np.array([-1], np.float32)})["y"] == 0


def test_few_processes_give_no_interval():
    assert ratio_of([timings(np.random.default_rng(0), 1, 0.1)] * (FEWEST - 1), 1).high == math.inf
