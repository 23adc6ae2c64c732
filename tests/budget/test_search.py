"""The search leaves out what costs too much, little else, and asks for few measurements."""

from __future__ import annotations

import math

import pytest

from graphopt.budget.record import Figure
from graphopt.budget.search import Objective, Search, Unit, enough, rises


class Land:
    """Units with costs that add up, and a count of the candidates that were measured."""

    def __init__(self, *passes, cost=None):
        self.all = [
            Unit(f"pass{i}", ("rule", f"place{j}", 0)) for i, ones in enumerate(passes) for j, _ in enumerate(ones)
        ]
        self.costs = dict(zip(self.all, [one for ones in passes for one in ones], strict=True))
        self.cost = cost or (lambda kept: math.fsum(self.costs[unit] for unit in kept))
        self.measured = set()

    def measure(self, left):
        self.measured.add(left)
        return Figure.exactly(self.cost([unit for unit in self.all if unit not in left]))

    def search(self, *objectives, **options):
        return Search(
            objectives, lambda left: [one for one in self.all if one not in left], lambda: len(self.measured), **options
        )

    def left_out(self, allowed, **options):
        search = self.search(Objective("limit", allowed, self.measure), **options)
        return sorted(self.costs[unit] for unit in search.run())


def test_nothing_is_left_out_within_the_limit():
    land = Land([1, 2, 3])
    assert land.left_out(6) == []
    assert len(land.measured) == 1


@pytest.mark.parametrize("place", [0, 1, 37, 63])
def test_one_bad_layer_among_many_is_found_by_bisection(place):
    costs = [0.01] * 64
    costs[place] = 10
    land = Land(costs)
    assert land.left_out(1) == [10]
    assert len(land.measured) <= 2 + math.log2(64) + 1


def test_the_costliest_are_left_out_first():
    assert Land([1, 5, 1, 4, 1, 1]).left_out(4) == [4, 5]


def test_bad_layers_that_hide_each_other_are_found_one_after_the_other():
    broken = {3, 11}
    land = Land([0] * 16, cost=lambda kept: 90.0 if any(int(unit.key[1][5:]) in broken for unit in kept) else 0.0)
    search = land.search(Objective("limit", 1.0, land.measure))
    assert {int(unit.key[1][5:]) for unit in search.run()} == broken


def test_what_need_not_be_left_out_is_put_back():
    """Costs of pairs are not the sum of their costs: without the first, the others cost nothing."""
    land = Land([0] * 4, cost=lambda kept: float(len(kept) if land.all[0] in kept else 0))
    search = land.search(Objective("limit", 0.0, land.measure))
    assert search.run() == {land.all[0]}


def test_passes_are_told_apart_first_and_what_they_cost_is_known():
    land = Land([1, 1], [7], [2, 2])
    search = land.search(Objective("limit", 7.0, land.measure))
    assert [land.costs[unit] for unit in search.run()] == [7]
    assert {step: cost.value for step, cost in search.by_pass["limit"].items()} == {"pass0": 2, "pass1": 7, "pass2": 4}
    assert search.blame[land.all[2]] == ("limit", Figure.exactly(7), 1)


def test_passes_that_gain_are_kept():
    assert Land([-5, 3, -2], [8]).left_out(-3) == [8]


def test_a_limit_that_nothing_helps_is_given_up_at_once():
    land = Land([-1, -2], [-3])
    assert land.left_out(-10) == []
    assert len(land.measured) <= 4


def test_the_nearest_is_taken_where_the_limit_cannot_be_kept():
    assert Land([-1, 2, 5]).left_out(-10) == [2, 5]


def test_differences_within_the_noise_are_no_costs():
    noisy = [Figure(10, 9, 11), Figure(10.5, 9.5, 11.5), Figure(30, 29, 31)]
    first, second = rises(dict(enumerate(noisy)))
    assert (first.counts, second.counts) == (False, True)
    assert enough([first, second], math.inf) == [second]


def test_a_limit_that_only_counts_beyond_noise():
    noisy = Objective("never-slower", 1.0, lambda _left: Figure(1.02, 0.99, 1.05), beyond_noise=True)
    assert noisy.excess(frozenset()) < 0
    assert Objective("limit", 1.0, noisy.measure).excess(frozenset()) == pytest.approx(0.02)


def test_when_the_trials_are_spent_the_whole_stretch_goes_and_the_limit_holds():
    costs = [0.0] * 64
    costs[40] = 10.0
    land = Land(costs)
    left = land.left_out(1.0, most=5)
    assert 10.0 in left
    assert 1 < len(left) <= 32
    assert len(land.measured) <= 7


def test_two_limits_at_odds_give_the_one_that_breaks_the_fewest():
    land = Land([4, 0, 0, 0])
    weight = Objective("size", 2.0, lambda left: Figure.exactly(10.0 - 2.5 * (4 - len(left))))
    drop = Objective("drop", 1.0, land.measure)
    search = land.search(drop, weight)
    assert len(search.run()) == 1  # one limit broken by little, not two
    assert search.rank(frozenset({land.all[0]}))[0] == 1


def test_a_search_that_made_it_worse_returns_what_was_best():
    land = Land([5, 5])
    land.cost = lambda kept: {2: 10.0, 1: 10.0 if land.all[0] in kept else 30.0, 0: 0.0}[len(kept)]
    search = land.search(Objective("limit", 9.0, land.measure), most=4)
    best = search.run()
    assert land.measure(best).value <= 10.0
