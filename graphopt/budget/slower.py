"""`never_slower`: passes that make the model slower beyond noise are found one by one, and left out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from graphopt.budget.gauge import Gauge
from graphopt.budget.search import Left, Objective, Search, Unit
from graphopt.budget.trials import Trials

NAME = "never-slower"


def without_slower(search: Search, trials: Trials, gauge: Gauge) -> Left:
    """The units to leave out.

    Each pass is timed against what was there before it. Where it is slower, with its whole interval, the result is
    timed with and without it (or those of its rewrites that cost most): some passes only pay by what follows them.
    """
    left: Left = frozenset()
    for step in dict.fromkeys(unit.step for unit in trials.units(left)):
        every = [unit for unit in trials.units(left) if unit not in left]
        groups = {name: list(group) for name, group in groupby(every, key=lambda unit: unit.step)}
        if step in groups:
            left = left.union(_slower(search, trials, gauge, left, every, groups[step]))
    return left


def _slower(
    search: Search, trials: Trials, gauge: Gauge, left: Left, every: Sequence[Unit], group: Sequence[Unit]
) -> Sequence[Unit]:
    """The units of one pass, or those of its rewrites, without which the result is faster; nothing if it is not."""
    start, end = every.index(group[0]), every.index(group[-1]) + 1
    without, with_it = left.union(every[start:]), left.union(every[end:])
    if gauge.ratio(trials.file(without), trials.file(with_it)).low <= 1:
        return ()
    suspects: Sequence[Unit] = group
    if len(group) > 1:
        allowed = trials.known(NAME, without, gauge.slowdown).value
        pace = Objective(NAME, allowed, lambda tried: trials.known(NAME, tried, gauge.slowdown))
        suspects = search.refine(pace, with_it, group) or group
    cost = gauge.ratio(trials.file(left.union(suspects)), trials.file(left))
    if cost.low <= 1:
        return ()
    search.blame.update(dict.fromkeys(suspects, (NAME, cost, len(suspects))))
    return suspects
