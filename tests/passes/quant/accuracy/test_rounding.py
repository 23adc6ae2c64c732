"""Weights rounded by least squares: products are closer than with every weight rounded to the nearest."""

import numpy as np
import pytest

from passes.quant.accuracy.rounding import least_squares

RNG = np.random.default_rng(0)


def correlated(row, groups=1, count=500):
    """Activations (groups, count, row) of which some follow from others, and their second moments."""
    mixing = RNG.standard_normal((groups, row, row)) / row**0.5 + np.ones((row, 1))
    x = RNG.standard_normal((groups, count, row)) @ mixing
    return x, x.transpose(0, 2, 1) @ x / count


@pytest.mark.parametrize(("groups", "row"), [(1, 8), (3, 9), (1, 200)])
def test_products_are_closer(groups, row):
    x, spread = correlated(row, groups)
    steps = RNG.uniform(-100, 100, (groups, 5, row))
    made = least_squares(steps, spread, -127, 127)
    error, nearest = (np.square(x @ (steps - one).transpose(0, 2, 1)).mean() for one in (made, np.rint(steps)))
    assert error < 0.7 * nearest


def test_every_weight_goes_to_a_point_next_to_it():
    _, spread = correlated(50)
    steps = RNG.uniform(-140, 140, (1, 4, 50))
    made = least_squares(steps, spread, -127, 127)
    assert np.array_equal(made, np.rint(made))
    assert np.all(np.abs(made) <= 127)
    inside = np.abs(steps) < 127
    assert np.all(np.abs(made - steps)[inside] < 1)


def test_points_stay():
    _, spread = correlated(20)
    steps = RNG.integers(-127, 128, (1, 3, 20)).astype(float)
    assert np.array_equal(least_squares(steps, spread, -127, 127), steps)


def test_activations_that_do_not_follow_from_each_other_leave_the_nearest():
    steps = RNG.uniform(-100, 100, (1, 3, 20))
    assert np.array_equal(least_squares(steps, np.eye(20)[None], -127, 127), np.rint(steps))


def test_activations_that_never_vary_do_no_harm():
    steps = RNG.uniform(-100, 100, (1, 3, 20))
    assert np.array_equal(least_squares(steps, np.zeros((1, 20, 20)), -127, 127), np.rint(steps))
