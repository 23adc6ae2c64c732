"""The plan with which a network takes a share of its time: what is predicted proposes plans, what is measured decides.

Predicted and measured shares of a plan differ, for a layer alone is not a layer among others; so plans are looked for
between one that is too slow and one that is fast enough, and those that are near enough are measured once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from passes.prune.targets import Plan

TRIALS = 12
"""Plans that are measured at most."""
NEAR = 0.02
"""How far from the target, as a share of it, a plan may be that is taken at once."""
PLACES = (0.5, 0.75, 0.9)
"""Between two plans, where others are looked for if there is none where the target should be."""
PARTS = (2, 3, 4)
"""Of the groups in which two plans differ, one in so many is taken from the slow one in a mixture of the two."""


@dataclass(frozen=True)
class Point:
    """A plan. asked: the share of the predicted time for which it was made. share: of the time, as measured."""

    plan: Plan
    asked: float
    share: float

    @property
    def sizes(self) -> dict[str, int]:
        """How many atoms of each group go."""
        return sizes(self.plan)


def sizes(plan: Plan) -> dict[str, int]:
    """How many atoms of each group go, of those of which some do."""
    return {group.name: len(gone) for group, gone in plan.items() if len(gone)}


def nearest(target: float, at: Callable[[float], Plan], measure: Callable[[Plan], float]) -> Point:
    """Of the plans that were measured the one that is nearest to the target; the fastest there is if none is as fast.

    at: the plan for a share of the predicted time. measure: the share of the time that a plan takes, as a clock says.
    """
    slow, fast = Point(at(1.0), 1.0, 1.0), _measured(at(0.0), 0.0, measure)
    tried = [fast]
    while fast.share < target and len(tried) < TRIALS:
        seen = [slow.sizes, *(point.sizes for point in tried)]
        found = ((asked, plan) for asked, plan in _between(fast, slow, target, at) if sizes(plan) not in seen)
        asked, plan = next(found, (0.0, None))
        if plan is None:
            break
        point = _measured(plan, asked, measure)
        if abs(point.share - target) <= target * NEAR:
            point = Point(plan, asked, (point.share + measure(plan)) / 2)
        tried.append(point)
        if abs(point.share - target) <= target * NEAR:
            break
        fast, slow = (fast, point) if point.share > target else (point, slow)
    return min(tried, key=lambda point: abs(point.share - target))


def _measured(plan: Plan, asked: float, measure: Callable[[Plan], float]) -> Point:
    return Point(plan, asked, measure(plan))


def _between(fast: Point, slow: Point, target: float, at: Callable[[float], Plan]) -> Iterator[tuple[float, Plan]]:
    """Plans between two others, with the shares of the predicted time for which they are made: first the one that has
    the target if time grows evenly from one to the other, last mixtures of the two."""
    place = (target - fast.share) / max(slow.share - fast.share, target * NEAR)
    for share in (min(place, 1.0), *PLACES):
        asked = fast.asked + share * (slow.asked - fast.asked)
        yield asked, at(asked)
    for plan in _mixtures(fast.plan, slow.plan):
        yield (fast.asked + slow.asked) / 2, plan


def _mixtures(fast: Plan, slow: Plan) -> Iterator[Plan]:
    """Plans of which some groups are as in the slow plan, the others as in the fast one."""
    differing = [group for group in fast if len(fast[group]) != len(slow[group])]
    for parts in PARTS:
        for first in range(parts):
            yield {**fast, **{group: slow[group] for group in differing[first::parts]}}
