"""What was measured of a compile, and how it stands to the limits: frozen values, part of the report."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A number with its 95 % interval; both ends are the number itself where nothing is uncertain."""

    value: float
    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Figure:
        """A number that is not uncertain."""
        return cls(value, value, value)

    def __sub__(self, other: Figure) -> Figure:
        """The difference; the errors of the two are taken to be independent, so that their squares add up."""
        value = self.value - other.value
        below = math.hypot(self.value - self.low, other.high - other.value)
        above = math.hypot(self.high - self.value, other.value - other.low)
        return Figure(value, value - below, value + above)

    def scaled(self, factor: float) -> Figure:
        """The figure in another unit. factor: positive."""
        return Figure(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Cost:
    """What a pass, or one rewrite of it, takes of a limit.

    step: the pass as written. rule, place: of the rewrite, "" for all of the pass. limit: such as "max-drop". cost: in
    the limit's unit; above 0 is worse. together: how many passes and rewrites cost that, if they were not told apart.
    """

    step: str
    rule: str
    place: str
    limit: str
    cost: Figure
    together: int = 1


@dataclass(frozen=True)
class Limit:
    """One limit of a budget, and how the result stands to it.

    name: "max-drop", "max-latency", "max-size" or "never-slower". given: as it was asked for. unit: "points"
    (hundredths of a share), "" (the metric's own scale), "s", "B", or "times" (as long as the original). allowed, found
    (of the result) and original (what the original takes or, for max-drop, scores) are in that unit.
    metric: of max-drop, "" otherwise. everything: what it would be if nothing were left out.
    met: whether the estimate is within; never-slower is only broken beyond noise. costs: what each pass takes of it, in
    the order of the passes, as far as it was looked for because the limit was broken on the way.
    """

    name: str
    given: str
    unit: str
    allowed: float
    original: float
    found: Figure
    met: bool
    metric: str = ""
    everything: float | None = None
    costs: tuple[Cost, ...] = ()

    @property
    def straddles(self) -> bool:
        """Whether the limit lies inside the interval of what was found, so that noise may have decided."""
        low, high = self.found.low, self.found.high
        return self.name != "never-slower" and low < high and low <= self.allowed <= high

    @property
    def costliest(self) -> Cost | None:
        """The pass that takes most of it; None if none was found to take any."""
        worst = max(self.costs, key=lambda one: one.cost.value, default=None)
        return worst if worst is not None and worst.cost.value > 0 else None


@dataclass(frozen=True)
class Budgeted:
    """What came of a budget.

    limits: in the order of the options. left_out: passes and rewrites that the result does without, and why.
    trials: compiles beside the first.
    """

    limits: tuple[Limit, ...]
    left_out: tuple[Cost, ...]
    trials: int

    @property
    def met(self) -> bool:
        """Whether the result is within all limits."""
        return all(limit.met for limit in self.limits)
