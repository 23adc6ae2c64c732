"""Mixed precision: which layers stay float so that no more is lost than is allowed.

Layers are given up in the order of what they disturb for what they cost, the worst first; how many is found by
bisection on the metric, and then the most expensive of them are tried again, one by one. The plan that is returned
was measured, and nothing that was measured to be within the limit leaves less in floats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from passes.quant.plan import Plan

RETRIED = 4
"""Layers that are tried again at most."""


@dataclass
class Search:
    """What is measured. loss: of a plan, by the metric. allowed: how much of it may be. tried: the number of plans."""

    loss: Callable[[Plan], float]
    allowed: float
    tried: int = 0
    losses: dict[frozenset[str], float] = field(default_factory=dict)

    def fits(self, plan: Plan) -> bool:
        """Whether a plan loses no more than allowed; each is measured once."""
        key = frozenset(plan.units)
        if key not in self.losses:
            self.tried += 1
            self.losses[key] = self.loss(plan)
        return self.losses[key] <= self.allowed

    def within(self, plan: Plan, order: Sequence[str], costs: Mapping[str, float]) -> Plan:
        """The plan less the layers that have to stay float; `order` holds all that may, the first to go first."""
        if self.fits(plan):
            return plan
        few, many = 0, len(order)
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (few, middle) if self.fits(self._without(plan, order[:middle])) else (middle, many)
        given_up = list(order[:many])
        for name in sorted(given_up[:-1], key=lambda one: -costs.get(one, 0.0))[:RETRIED]:
            fewer = [one for one in given_up if one != name]
            if self.fits(self._without(plan, fewer)):
                given_up = fewer
        if len(given_up) == len(order):
            given_up = list(plan.units)
        return self._without(plan, given_up)

    def _without(self, plan: Plan, names: Sequence[str]) -> Plan:
        said = f"it stays float so that no more than {self.allowed:g} is lost"
        return plan.without(dict.fromkeys(names, said))
