"""How much of each group goes: what is known of the groups, the target, and the search for the plan that meets it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graphopt.errors import UsageError
from passes.prune import allocation
from passes.prune.curves import LOOKED, SHARES, WORK, Curve, Outputs, curve, from_scores, seen
from passes.prune.importance import SAMPLED, scores
from passes.prune.selection import emptied
from passes.prune.targets import Plan, costs, multiply_adds
from passes.prune.taylor import taylor
from passes.prune.trial import Work, bare, loss_of

if TYPE_CHECKING:
    from graphopt.ir.types import Array
    from passes.prune.grouping import Grouping
    from passes.prune.groups import Group
    from passes.prune.settings import Settings
    from passes.prune.targets import Cost

TRIALS = 7
"""Networks that are judged by the user's metric at most, on the way to the one that loses as much as it may."""
FINE = 0.01
"""Shares of the cost that are not told apart by the search."""
SLACK, CLOSE = 1e-9, 0.05
"""How far a target may be missed, as a number and as a share of a measured one."""
MOST_PINS = 3

Rated = tuple["Array", tuple[int, ...], tuple[float, ...]]
"""The scores of a group's atoms, and its curve."""


def looks(settings: Settings) -> bool:
    """Whether samples are looked at."""
    return settings.importance in SAMPLED or settings.allocate == "sensitivity" or settings.recover != "none"


def pinning(grouping: Grouping) -> str:
    """What keeps the groups that cannot be cut."""
    pins = [f"{group.name}: {group.pins[0]}" for group in grouping.pinned[:MOST_PINS] if group.pins]
    return f"; pinned: {'; '.join(pins)}" if pins else ""


@dataclass
class Planner:
    """How much of each group goes.

    loss: of the plan by the user's metric, if it was judged. measured: its share of the time, if that was measured.
    """

    work: Work
    groups: Sequence[Group]
    loss: float | None = None
    measured: float | None = None

    def __post_init__(self) -> None:
        settings = self.work.settings
        self.shape = allocation.Shape(settings.floor, settings.round_to or 1)
        self.cost, self.name = self._cost()
        self.full = self.cost({})
        self.scores, self.curves = self._known()
        self.orders = {group: group.atoms[np.argsort(self.scores[group], kind="stable")] for group in self.groups}

    def _cost(self) -> tuple[Cost, str]:
        targets = self.work.settings.targets
        name = next((name for name in targets if name != "ratio"), "macs")
        return costs(name, self.work), name

    def _known(self) -> tuple[dict[Group, Array], list[Curve]]:
        work, settings = self.work, self.work.settings
        if work.feeds is None or not looks(replace(settings, recover="none")):
            return {g: scores(settings.importance, work.grouping, g, None, settings.seed) for g in self.groups}, []
        key = ("prune curves", work.original.fingerprint(), work.feeds.data.fingerprint(), settings.measured)
        if key not in work.context.memo:
            work.context.memo[key] = self._measured()
        held: Mapping[str, Rated] = work.context.memo[key]
        rated = {group: held[group.name][0] for group in self.groups}
        orders = {group: group.atoms[np.argsort(rated[group], kind="stable")] for group in self.groups}
        return rated, [Curve(group, orders[group], *held[group.name][1:]) for group in self.groups]

    def _measured(self) -> dict[str, Rated]:
        work, settings = self.work, self.work.settings
        if work.feeds is None:
            raise LookupError("there are no samples")
        measure = settings.allocate == "sensitivity"
        fitted, held = work.feeds.fitted, work.feeds.held
        judge = Outputs(work.original, (held if held.count else fitted).first(self._looked())) if measure else None
        rates = self._slopes()
        found: dict[str, Rated] = {}
        for known in seen(work.original, self.groups, fitted, settings.seed):
            group = known.group
            work.context.say(f"prune: what {group.name} is worth ({len(found) + 1} of {len(self.groups)})")
            rated = rates.get(group)
            if rated is None:
                rated = scores(settings.importance, work.grouping, group, known.held, settings.seed)
            order = group.atoms[np.argsort(rated, kind="stable")]
            line = (
                curve(work.grouping, known, order, judge, refit=held.count > 0)
                if judge
                else Curve(group, order, (0,), (0.0,))
            )
            found[group.name] = (rated, line.gone, line.losses)
        return found

    def _slopes(self) -> dict[Group, Array]:
        """The scores of all groups, if they come from gradients."""
        work, settings = self.work, self.work.settings
        if work.feeds is None or settings.importance != "taylor":
            return {}
        work.context.say("prune: what the answers depend on")
        return taylor(work.grouping, self.groups, work.feeds.data, samples=settings.samples, seed=settings.seed)

    def _looked(self) -> int:
        """Samples on which losses are measured: fewer of a network that takes long, or has many groups."""
        once = multiply_adds(self.work.grouping, self.work.context.bound[0])({}) * len(SHARES) * len(self.groups)
        return int(np.clip(WORK / max(once, 1.0), *LOOKED))

    def plan(self) -> Plan:
        """The plan for what was asked. Raises UsageError for a target that cannot be reached."""
        settings = self.work.settings
        if settings.ratio is not None:
            return self._safe(allocation.uniform(self.orders, settings.ratio, self.shape))
        target = next(iter(settings.targets.values()), None)
        if target is None:
            return self._within_drop()
        if self.name == "latency":
            plan, reached = self._timed(target)
            within = target * (1 + CLOSE)
        else:
            plan = self.at(target)
            reached, within = self.cost(plan) / self.full, target + SLACK
        if reached > within:
            least = f"at least {reached:.3f} stays, with each group as small as {self.shape} allow"
            raise UsageError(f"prune: {self.name}={target:g} cannot be reached: {least}{pinning(self.work.grouping)}")
        return plan

    def _timed(self, target: float) -> tuple[Plan, float]:
        """The plan whose measured share of the time is nearest to the target, and that share."""
        from passes.prune.latency import ratio
        from passes.prune.timed import nearest

        def measure(plan: Plan) -> float:
            share = ratio(self.work, bare(self.work, plan))
            self.work.context.say(f"prune: latency {share:.3f} measured")
            return share

        point = nearest(target, self.at, measure)
        self.measured = point.share
        return point.plan, point.share

    def at(self, share: float) -> Plan:
        """The plan with which the network costs at most a share of what it did, or as little as it can."""
        allowed, settings = share * self.full, self.work.settings
        if settings.allocate == "sensitivity":
            plan = allocation.cheapest(self.curves, self.cost, allowed, self.shape)
        elif settings.allocate == "global":
            rated = [from_scores(group, self.scores[group]) for group in self.groups]
            plan = allocation.cheapest(rated, self.cost, allowed, self.shape)
        else:
            plan = allocation.uniform_for(self.orders, self.cost, allowed, self.shape)
        return self._safe(plan)

    def _safe(self, plan: Plan) -> Plan:
        """The plan without what would empty an axis."""
        grouping = self.work.grouping
        return {group: np.setdiff1d(gone, emptied(grouping, group, gone)) for group, gone in plan.items()}

    def _within_drop(self) -> Plan:
        """The most that can go within the user's metric, by bisection over the share that stays: the best that was
        tried and is within it."""
        goal = self.work.context.goal
        if goal is None or goal.allowed is None:
            raise LookupError("there is no limit")
        low, high, best = 0.0, 1.0, self.at(1.0)
        with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
            for number in range(TRIALS):
                share = (low + high) / 2
                plan = self.at(share)
                reached = self.cost(plan) / self.full
                loss = loss_of(self.work, plan, Path(folder))
                self.work.context.say(
                    f"prune: {self.name} {reached:.3f} loses {loss:.4g} in {goal.metric} ({number + 1} of {TRIALS})"
                )
                if loss <= goal.allowed:
                    best, self.loss, high = plan, loss, min(share, reached)
                else:
                    low = max(share, reached)
                if high - low < FINE:
                    break
        return best
