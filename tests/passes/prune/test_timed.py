"""Plans are looked for by what a clock says, though predictions are off, clocks are not steady, and plans are few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest

from passes.prune.targets import Plan
from passes.prune.timed import NEAR, TRIALS, nearest


@dataclass(frozen=True)
class Named:
    name: str


GROUPS = [Named(f"g{number}") for number in range(6)]
HAD = 64


def _plan(shares: float | list[float], step: int = 1) -> Plan:
    """Every group with so large a share left, in whole steps."""
    stays = np.broadcast_to(shares, len(GROUPS))
    left = [max(step, int(share * HAD / step) * step) for share in stays.tolist()]
    return cast("Plan", {group: np.arange(HAD - count) for group, count in zip(GROUPS, left, strict=True)})


def _time(plan: Plan, overhead: float) -> float:
    """What a run takes: some of it is the same for all plans."""
    return overhead + (1 - overhead) * float(np.mean([1 - len(gone) / HAD for gone in plan.values()]))


def _noisy(plan: Plan, overhead: float, rng: np.random.Generator) -> float:
    return _time(plan, overhead) * float(rng.normal(1, 0.005))


@pytest.mark.parametrize("target", [0.75, 0.6, 0.45])
@pytest.mark.parametrize("overhead", [0.0, 0.3])
def test_what_takes_the_time_that_was_asked_for_is_found(target: float, overhead: float) -> None:
    rng = np.random.default_rng(0)
    point = nearest(target, _plan, lambda plan: _noisy(plan, overhead, rng))
    assert _time(point.plan, overhead) == pytest.approx(target, rel=2 * NEAR)


def test_between_few_plans_groups_are_mixed() -> None:
    def at(share: float) -> Plan:
        return _plan(1.0 if share > 0.9 else 0.25)

    point = nearest(0.62, at, lambda plan: _time(plan, 0.0))
    assert _time(point.plan, 0.0) == pytest.approx(0.62, rel=0.05)
    assert len({len(gone) for gone in point.plan.values()}) == 2


def test_what_is_as_fast_as_can_be_is_given_for_targets_beyond_it() -> None:
    point = nearest(0.2, _plan, lambda plan: _time(plan, 0.5))
    assert point.share == pytest.approx(_time(_plan(0.0), 0.5))


def test_what_is_near_enough_is_measured_again() -> None:
    times = iter([0.5, 0.601, 0.8, 0.6, 0.6])
    point = nearest(0.6, _plan, lambda _plan: next(times))
    assert point.share == 0.6
    assert next(times, None) is None


def test_no_more_plans_are_measured_than_there_is_time_for() -> None:
    asked: list[Plan] = []

    def measure(plan: Plan) -> float:
        asked.append(plan)
        return 0.1 if len(asked) == 1 else 0.9

    nearest(0.5, _plan, measure)
    assert len(asked) <= TRIALS
