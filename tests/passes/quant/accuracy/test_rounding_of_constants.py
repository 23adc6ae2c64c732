"""Rounding by least squares where activations hardly vary, so that their covariances are lost in rounding errors."""

import numpy as np

from passes.quant.accuracy.rounding import least_squares


def test_covariances_that_are_lost_beside_the_means_leave_the_nearest_integers_in_reach():
    rng = np.random.default_rng(0)
    rows = (100 + 1e-3 * rng.standard_normal((3, 64))).astype(np.float32)
    spread = (rows.T @ rows / 3 - np.outer(rows.mean(0), rows.mean(0))).astype(np.float64)[None]
    assert np.linalg.eigvalsh(spread).min() < 0
    steps = rng.uniform(-120, 120, (1, 8, 64))
    found = least_squares(steps, spread, -127, 127)
    assert np.array_equal(found, np.rint(found))
    assert np.abs(found - steps).max() < 1
