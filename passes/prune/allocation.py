"""How much of each group goes, so that a network costs what it may and loses as little as possible.

Losses of groups are taken to add up, and so, near a plan, are their savings. Then each group can be chosen by itself
for a price of the saving, and the price is found by bisection (Everett, 1963: generalised Lagrange multipliers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.ir.types import Array
from passes.prune.curves import Curve
from passes.prune.groups import Group
from passes.prune.targets import Cost, Plan

ROUNDS, BISECTIONS = 3, 40
HIGHEST = 1e8
"""The highest price, in losses for all that one group can save; the lowest is its inverse."""
PROBED = 5
"""Sizes of a group at which its savings are computed; between them they are taken to be linear."""


@dataclass(frozen=True)
class Shape:
    """What is allowed: a group's size stays a multiple of `round_to`, and at least `floor`."""

    floor: int = 1
    round_to: int = 1

    def __str__(self) -> str:
        return f"floor={self.floor} and round_to={self.round_to}"

    def counts(self, group: Group) -> Array:
        """How many atoms may go, in rising order; the first is 0."""
        gone = np.arange(group.size)
        stays = group.size - gone
        allowed = (stays % self.round_to == 0) & (stays >= max(1, self.floor))
        allowed[0] = True
        found: Array = gone[allowed]
        return found


def uniform(orders: Mapping[Group, Array], share: float, shape: Shape) -> Plan:
    """The same share of each group, rounded down."""
    plan: dict[Group, Array] = {}
    for group, order in orders.items():
        counts = shape.counts(group)
        plan[group] = order[: counts[counts <= share * group.size][-1]]
    return plan


def uniform_for(orders: Mapping[Group, Array], cost: Cost, allowed: float, shape: Shape) -> Plan:
    """The least uniform share with which the network costs at most `allowed`, or as little as it can."""
    low, high = 0.0, 1.0
    if cost(uniform(orders, high, shape)) > allowed:
        return uniform(orders, high, shape)
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if cost(uniform(orders, middle, shape)) <= allowed else (middle, high)
    return uniform(orders, high, shape)


def cheapest(curves: Sequence[Curve], cost: Cost, allowed: float, shape: Shape) -> Plan:
    """The plan with the least loss that costs at most `allowed`; the cheapest there is if none does."""
    plan: Plan = {curve.group: curve.order[:0] for curve in curves}
    for _ in range(ROUNDS):
        offers = [_Offer(curve, cost, plan, shape) for curve in curves]
        plan = _at_price(offers, cost, allowed)
    return plan


class _Offer:
    """What the sizes of one group lose and save, the others being as in a plan."""

    def __init__(self, curve: Curve, cost: Cost, plan: Plan, shape: Shape) -> None:
        counts = shape.counts(curve.group)
        losses = curve.loss(counts)
        usable = np.isfinite(losses)
        self.curve, self.counts, self.losses = curve, counts[usable], losses[usable]
        probes = np.unique(np.linspace(0, self.counts[-1], PROBED).astype(int))
        costs = [cost({**plan, curve.group: curve.order[:count]}) for count in probes.tolist()]
        self.costs = np.interp(self.counts, probes, costs)

    def best(self, price: float) -> Array:
        """The atoms that go at a price of one unit of cost."""
        return self.curve.order[: self.counts[np.argmin(self.losses + price * self.costs)]]


def _at_price(offers: Sequence[_Offer], cost: Cost, allowed: float) -> Plan:
    """The plan at the lowest price at which the network costs at most `allowed`, and what that leaves unused."""

    def plan(price: float) -> dict[Group, Array]:
        return {offer.curve.group: offer.best(price) for offer in offers}

    spread = max(float(np.ptp(offer.costs)) for offer in offers) if offers else 0.0
    high = HIGHEST / max(spread, np.finfo(float).tiny)
    found = plan(high)
    if cost(found) > allowed:
        return found
    low = high / HIGHEST**2
    for _ in range(BISECTIONS):
        middle = float(np.sqrt(low * high))
        tried = plan(middle)
        if cost(tried) <= allowed:
            high, found = middle, tried
        else:
            low = middle
    return _filled(found, offers, cost, allowed)


def _filled(plan: dict[Group, Array], offers: Sequence[_Offer], cost: Cost, allowed: float) -> Plan:
    """The plan with as much given back as the cost allows: a price only finds plans that no mixture of two beats."""
    losses = {offer.curve.group: offer.curve.loss(np.array([len(plan[offer.curve.group])]))[0] for offer in offers}
    for offer in sorted(offers, key=lambda offer: -losses[offer.curve.group]):
        group, order = offer.curve.group, offer.curve.order
        fewer = offer.counts[offer.counts <= len(plan[group])]
        low, high = 0, len(fewer) - 1
        while low < high:
            middle = (low + high) // 2
            fits = cost({**plan, group: order[: fewer[middle]]}) <= allowed
            low, high = (low, middle) if fits else (middle + 1, high)
        plan = {**plan, group: order[: fewer[high]]}
    return plan
