"""The search for the layers that stay float: within the limit, as few multiplications in floats as it finds."""

import pytest

from passes.quant.accuracy.mixed import Search
from passes.quant.plan import Plan

NOISE = {"a": 5.0, "b": 0.5, "c": 3.0, "d": 0.25, "e": 0.25}
COSTS = {"a": 10.0, "b": 1.0, "c": 1000.0, "d": 1.0, "e": 1.0}
ORDER = sorted(NOISE, key=lambda name: -NOISE[name] / COSTS[name])
PLAN = Plan((*NOISE, "pool"), {}, {})


def searched(allowed, loss=None):
    search = Search(loss or (lambda plan: sum(NOISE.get(name, 0.0) for name in plan.units)), allowed)
    return search, search.within(PLAN, ORDER, COSTS)


@pytest.mark.parametrize("allowed", [0.0, 0.25, 0.6, 3.5, 4.0, 8.9, 9.0, 100.0])
def test_what_is_found_was_measured_and_fits(allowed):
    search, found = searched(allowed)
    assert search.loss(found) <= allowed
    if found.units:
        assert frozenset(found.units) in search.losses


def test_all_that_fits_stays():
    search, found = searched(9.0)
    assert found is PLAN
    assert search.tried == 1


def test_layers_that_went_for_nothing_come_back():
    _, found = searched(4.0)
    assert set(found.units) == {"b", "c", "d", "e", "pool"}


def test_each_plan_is_measured_once():
    measured = []

    def loss(plan):
        measured.append(frozenset(plan.units))
        return sum(NOISE.get(name, 0.0) for name in plan.units)

    searched(0.3, loss)
    assert len(measured) == len(set(measured))


def test_what_goes_is_told_why():
    _, found = searched(4.0)
    assert found.reasons == {"a": "it stays float so that no more than 4 is lost"}


def test_where_nothing_fits_all_is_float():
    _, found = searched(-1.0, lambda _: 0.0)
    assert found.units == ()
