"""What is said of a missed limit."""

from __future__ import annotations

import pytest

from graphopt.budget.record import Budgeted, Cost, Figure, Limit
from graphopt.report.budget_text import missed


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (Figure(4e-4, 3e-4, 5e-4), "is pass fuse: 400 µs (300 µs to 500 µs)."),
        (Figure(4e-7, -5e-6, 6e-6), "is pass fuse: 0.4 µs (-5 µs to 6 µs), which may be noise."),
    ],
)
def test_a_cost_that_may_be_noise_is_called_so(cost, said):
    costs = (Cost("fuse", "", "", "max-latency", cost),)
    limit = Limit("max-latency", "1us", "s", 1e-6, 1e-3, Figure(1e-3, 1e-3, 1e-3), met=False, costs=costs)
    assert f"What cost most of it {said}" in missed(Budgeted((limit,), (), trials=2))
