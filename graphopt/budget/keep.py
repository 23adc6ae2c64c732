"""Compiling within a budget: the compile, what has to be left out of it, and how the result stands to each limit."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graphopt.budget.aims import Aim, Measured, aims
from graphopt.budget.gauge import Gauge
from graphopt.budget.kept import Kept
from graphopt.budget.limits import Budget
from graphopt.budget.record import Budgeted, Cost, Figure
from graphopt.budget.search import Left, Search, Unit
from graphopt.budget.slower import without_slower
from graphopt.budget.trials import Trials, reduced
from graphopt.pipeline import manager

REPEATS = 3
"""Compiles of what the search found, if some of its rewrites turn out to be wrong in the whole."""


@dataclass
class Findings:
    """What was learned.

    What is left out and why; by limit, what passes cost, and what it was before anything was left out; and how often
    it was compiled again.
    """

    left_out: list[Cost] = field(default_factory=list)
    costs: dict[str, list[Cost]] = field(default_factory=dict)
    everything: dict[str, float] = field(default_factory=dict)
    trials: int = 0


def keep_within(budget: Budget, job: manager.Compile, gauge: Gauge) -> Kept:
    """Compile, and leave out what breaks the budget.

    Raises UsageError for budgets that cannot, and what compiles and measurements raise.
    """
    goals = aims(budget, gauge)
    if gauge.judge is not None:
        gauge.judge.check()
    outcome, findings = manager.run(job), Findings()
    for _ in range(REPEATS):
        job = dataclasses.replace(job, left_out=outcome.left_out)
        left = _explored(goals, budget, job, outcome, gauge, findings)
        if not left:
            break
        job = reduced(job, left)
        again = manager.run(job)
        outcome, blamed = dataclasses.replace(again, blamed=[*outcome.blamed, *again.blamed]), again.blamed
        findings.trials += 1
        if not blamed:
            break
    tell(job, "measuring the result")
    with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
        path = Path(folder) / "result.onnx"
        outcome.context.model.save(path)
        found = _measured(path, gauge, timed=budget.max_latency is not None or budget.never_slower)
        limits = tuple(
            aim.limit(found, findings.costs.get(aim.name, ()), findings.everything.get(aim.name)) for aim in goals
        )
    budgeted = Budgeted(limits, tuple(findings.left_out), findings.trials) if budget else None
    return Kept(outcome, budgeted, found.evaluation, found.bench)


def _measured(result: Path, gauge: Gauge, *, timed: bool) -> Measured:
    return Measured(
        gauge.original,
        result,
        gauge.judge.evaluation(gauge.original, result) if gauge.judge is not None else None,
        gauge.clock.bench(gauge.original, result) if timed else None,
    )


def _explored(
    goals: Sequence[Aim], budget: Budget, job: manager.Compile, outcome: manager.Outcome, gauge: Gauge, found: Findings
) -> Left:
    """What is to be left out of the compile so that it stays within the limits."""
    with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
        trials = Trials(job, Path(folder), lambda text: tell(job, text))
        trials.hold(frozenset(), outcome.context)
        search = Search([aim.objective(trials) for aim in goals], trials.units, lambda: trials.made)
        left = without_slower(search, trials, gauge) if budget.never_slower else frozenset()
        left = search.run(left)
        for aim, objective in zip(goals, search.objectives, strict=True):
            found.everything.setdefault(aim.name, objective.measure(frozenset()).value)
            if aim.name in search.by_pass:
                found.costs.setdefault(aim.name, _by_pass(aim, search, trials))
        found.left_out += [_cost(unit, *search.blame[unit]) for unit in trials.units(frozenset()) if unit in left]
        found.trials += trials.made
    return left


def _by_pass(aim: Aim, search: Search, trials: Trials) -> list[Cost]:
    """What each pass takes of a limit; of the costliest with its interval."""
    costs = search.by_pass[aim.name]
    worst = max(costs, key=lambda step: costs[step].value)
    if aim.between is not None:
        units = [unit for unit in trials.units(frozenset()) if unit.step in costs]
        start = next(i for i, unit in enumerate(units) if unit.step == worst)
        end = start + sum(unit.step == worst for unit in units)
        before, after = (trials.file(frozenset(units[count:])) for count in (start, end))
        costs = {**costs, worst: aim.between(before, after)}
    return [Cost(step, "", "", aim.name, cost) for step, cost in costs.items()]


def _cost(unit: Unit, limit: str, cost: Figure, together: int) -> Cost:
    rule, place, _ = unit.key or ("", "", 0)
    return Cost(unit.step, rule, place, limit, cost, together)


def tell(job: manager.Compile, text: str) -> None:
    """Tell those who watch the compile."""
    for observer in job.observers:
        observer.message(text)
