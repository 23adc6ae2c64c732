"""The search for what to leave out: which passes and lossy rewrites cost so much that a limit is broken.

What costs how much is read off the curve of a measure over the first 0, 1, ..., n units of a compile. The curve is
refined only where it rises: a stretch of units that would have to go is halved until it is a single unit, at one
compile and one measurement a step. So one bad layer among n is found in about log2 n of them, and units that cost
little are never looked at one by one. Everything measured on the way counts as a candidate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from graphopt.budget.record import Figure
from graphopt.pipeline.context import Key

TRIALS = 64
"""Sets of units that are tried before the best found so far has to do."""


@dataclass(frozen=True)
class Unit:
    """What can be left out alone: a lossy rewrite, or, without a key, all of a pass."""

    step: str
    key: Key | None = None


Left = frozenset[Unit]
"""The units that are left out."""


@dataclass(frozen=True)
class Objective:
    """One limit.

    measure: what a candidate takes of it; more is worse. suspects: whether a unit is likely to cost any of it.
    beyond_noise: whether the limit is only broken if the whole interval of the measure lies beyond it.
    """

    name: str
    allowed: float
    measure: Callable[[Left], Figure]
    suspects: Callable[[Unit], bool] = lambda _unit: True
    beyond_noise: bool = False

    def excess(self, left: Left) -> float:
        """By how much of itself the limit is broken; at most 0 if it is not."""
        return excess(self.measure(left), self.allowed, beyond_noise=self.beyond_noise)


def excess(found: Figure, allowed: float, *, beyond_noise: bool) -> float:
    """By how much of itself a limit is broken; at most 0 if it is not."""
    over = (found.low if beyond_noise else found.value) - allowed
    return over / abs(allowed) if allowed else math.copysign(math.inf, over) if over else 0.0


@dataclass(frozen=True)
class Stretch:
    """Units from `start` up to `end`, and what they cost together; costs within the noise are none."""

    start: int
    end: int
    cost: Figure

    @property
    def counts(self) -> bool:
        """Whether they cost anything beyond noise."""
        return self.cost.low > 0


@dataclass
class Search:
    """Looks for the fewest units to leave out.

    units: those of a candidate, in the order in which they were made. tried: compiles made so far; most: to be made.
    by_pass: what each pass takes of a limit that was broken, by its name. blame: for each unit that was left out the
    limit for which, what it costs, and how many units cost that together.
    """

    objectives: Sequence[Objective]
    units: Callable[[Left], Collection[Unit]]
    tried: Callable[[], int]
    most: int = TRIALS
    by_pass: dict[str, dict[str, Figure]] = field(default_factory=dict)
    blame: dict[Unit, tuple[str, Figure, int]] = field(default_factory=dict)

    def run(self, left: Left = frozenset()) -> Left:
        """The best candidate found: it breaks the fewest limits, by the least, and leaves out the fewest units."""
        seen = [left]
        while broken := self._broken(left):
            found = next((found for one in broken if (found := self._culprits(one, left))), ())
            if not found:
                break
            left = left.union(found)
            seen.append(left)
        best = min(seen, key=self.rank)
        return self._put_back(best) if not self._broken(best) else best

    def rank(self, left: Left) -> tuple[int, float, int]:
        """The smaller the better."""
        over = [excess for one in self.objectives if (excess := one.excess(left)) > 0]
        return len(over), math.fsum(over), len(left)

    def _broken(self, left: Left) -> list[Objective]:
        """The limits that a candidate breaks, the most broken first."""
        broken = [one for one in self.objectives if one.excess(left) > 0]
        return sorted(broken, key=lambda one: -one.excess(left))

    def _spent(self) -> bool:
        return self.tried() >= self.most

    def _culprits(self, objective: Objective, left: Left) -> list[Unit]:
        """What to leave out so that the limit holds, as far as the measurements tell; nothing if nothing helps."""
        every = [unit for unit in self.units(left) if unit not in left]
        suspects = [unit for unit in every if objective.suspects(unit)]
        for units in dict.fromkeys((tuple(suspects), tuple(every))):
            if units and (found := self.refine(objective, left, units)):
                return found
        return []

    def refine(self, objective: Objective, left: Left, units: Sequence[Unit]) -> list[Unit]:
        """The units of the stretches that would have to go, halved until they are single or the trials are spent."""

        def measured(count: int) -> Figure:
            return objective.measure(left.union(units[count:]))

        borders = [i for i in range(1, len(units)) if units[i].step != units[i - 1].step]
        curve = {count: measured(count) for count in (0, *borders, len(units))}
        passes = {units[one.start].step: one.cost for one in rises(curve)}
        self.by_pass.setdefault(objective.name, passes)
        while True:
            chosen = enough(rises(curve), curve[len(units)].value - objective.allowed)
            wide = [stretch for stretch in chosen if stretch.end - stretch.start > 1]
            if not wide or self._spent():
                break
            widest = max(wide, key=lambda stretch: stretch.cost.value)
            middle = (widest.start + widest.end) // 2
            curve[middle] = measured(middle)
        for one in chosen:
            share = (objective.name, one.cost, one.end - one.start)
            self.blame.update(dict.fromkeys(units[one.start : one.end], share))
        return [unit for stretch in chosen for unit in units[stretch.start : stretch.end]]

    def _put_back(self, left: Left) -> Left:
        """The candidate with units put back that it need not leave out, those that cost least first."""
        for unit in sorted(left, key=lambda unit: (self.blame[unit][1].value, repr(unit))):
            if self._spent():
                break
            candidate = left - {unit}
            if not self._broken(candidate):
                left = candidate
        return left


def rises(curve: Mapping[int, Figure]) -> list[Stretch]:
    """The stretches between neighbouring points of a curve, and by how much it rises over each."""
    points = sorted(curve)
    return [Stretch(start, end, curve[end] - curve[start]) for start, end in itertools.pairwise(points)]


def enough(stretches: Iterable[Stretch], excess: float) -> list[Stretch]:
    """The costliest stretches, for each of their units, that together cost at least `excess`; or all that cost any."""
    chosen: list[Stretch] = []
    order = sorted((one for one in stretches if one.counts), key=lambda one: -one.cost.value / (one.end - one.start))
    for stretch in order:
        if math.fsum(one.cost.value for one in chosen) >= excess:
            break
        chosen.append(stretch)
    return sorted(chosen, key=lambda one: one.start)
