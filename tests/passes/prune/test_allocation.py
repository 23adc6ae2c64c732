"""Groups give as much as costs little, within what is allowed."""

from __future__ import annotations

import numpy as np
import pytest

from passes.prune.allocation import Shape, cheapest, uniform, uniform_for
from passes.prune.curves import Curve, from_scores
from passes.prune.groups import Group
from passes.prune.kind import Kind

ONE, OTHER = (Group(name, Kind.CHANNELS, np.arange(16) + start, ()) for name, start in (("one", 0), ("other", 16)))
ORDERS = {group: group.atoms for group in (ONE, OTHER)}
COSTS = {ONE: 3.0, OTHER: 1.0}


def _cost(plan: dict[Group, np.ndarray]) -> float:
    return sum(each * (group.size - len(plan.get(group, ()))) for group, each in COSTS.items())


def _curve(group: Group, most: float) -> Curve:
    gone = (0, 4, 8, 12, 15)
    return Curve(group, group.atoms, gone, tuple(most * (count / 15) ** 2 for count in gone))


def test_of_equal_losses_what_saves_more_goes() -> None:
    plan = cheapest([_curve(ONE, 1.0), _curve(OTHER, 1.0)], _cost, 0.6 * 64, Shape())
    assert _cost(plan) <= 0.6 * 64
    assert len(plan[ONE]) > len(plan[OTHER])


def test_what_hurts_stays() -> None:
    plan = cheapest([_curve(ONE, 10.0), _curve(OTHER, 0.01)], _cost, 0.8 * 64, Shape())
    assert len(plan[OTHER]) > 10
    assert _cost(plan) <= 0.8 * 64


def test_nothing_goes_where_nothing_has_to() -> None:
    plan = cheapest([_curve(ONE, 1.0), _curve(OTHER, 1.0)], _cost, 64, Shape())
    assert not any(map(len, plan.values()))


def test_a_target_out_of_reach_gives_as_much_as_there_is() -> None:
    assert _cost(cheapest([_curve(ONE, 1.0), _curve(OTHER, 1.0)], _cost, 0.0, Shape())) == 4
    assert _cost(uniform_for(ORDERS, _cost, 0.0, Shape(floor=2))) == 8


@pytest.mark.parametrize("allowed", [10.0, 30.0, 50.0])
def test_every_way_keeps_to_the_cost(allowed: float) -> None:
    rated = [from_scores(ONE, np.linspace(1, 2, 16)), from_scores(OTHER, np.linspace(0, 5, 16))]
    for plan in (uniform_for(ORDERS, _cost, allowed, Shape()), cheapest(rated, _cost, allowed, Shape())):
        assert allowed - 4 <= _cost(plan) <= allowed


def test_what_stays_is_a_multiple_and_not_below_the_floor() -> None:
    plan = uniform(ORDERS, 0.6, Shape(floor=4, round_to=4))
    assert [group.size - len(gone) for group, gone in plan.items()] == [8, 8]
    assert Shape(floor=12, round_to=8).counts(ONE).tolist() == [0]


def test_losses_never_fall_along_a_curve_and_have_no_end_beyond_it() -> None:
    curve = Curve(ONE, ONE.atoms, (0, 2, 4), (0.0, 0.3, 0.1))
    assert curve.loss(np.array([1, 2, 4, 5])).tolist() == [0.15, 0.3, 0.3, np.inf]
