"""The limits of a budget as things to measure: what each is called, allows, and takes to find out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.budget.gauge import Gauge, Judge
from graphopt.budget.limits import Budget
from graphopt.budget.record import Cost, Figure, Limit
from graphopt.budget.search import Objective, Unit, excess
from graphopt.budget.trials import Trials
from graphopt.budget.values import Drop
from graphopt.errors import UsageError

if TYPE_CHECKING:
    from graphopt.measure.evaluate import Evaluation
    from graphopt.measure.record import Bench


@dataclass(frozen=True)
class Measured:
    """The result and the original, thoroughly measured. evaluation, bench: None where nobody asked for them."""

    original: Path
    result: Path
    evaluation: Evaluation | None = None
    bench: Bench | None = None


@dataclass(frozen=True)
class Aim:
    """A limit. All numbers are in the unit of the report.

    measure: of a model, quickly, while searching. judge: of the result, with its interval; and of the original.
    between: how much more of the limit the second model takes than the first, where that is known better than by the
    difference of their measures. lossy: whether lossy rewrites are the first suspects.
    """

    name: str
    given: str
    unit: str
    allowed: float
    measure: Callable[[Path], Figure]
    judge: Callable[[Measured], tuple[Figure, float]]
    between: Callable[[Path, Path], Figure] | None = None
    lossy: bool = False
    beyond_noise: bool = False
    metric: str = ""

    def objective(self, trials: Trials) -> Objective:
        """The limit over what `trials` compiles."""
        return Objective(
            self.name,
            self.allowed,
            lambda left: trials.known(self.name, left, self.measure),
            (lambda unit: unit.key is not None) if self.lossy else _any,
            self.beyond_noise,
        )

    def limit(self, measured: Measured, costs: Iterable[Cost], everything: float | None) -> Limit:
        """How the result stands to the limit. everything: what it would be if nothing were left out."""
        found, original = self.judge(measured)
        met = excess(found, self.allowed, beyond_noise=self.beyond_noise) <= 0
        return Limit(
            self.name, self.given, self.unit, self.allowed, original, found, met, self.metric, everything, tuple(costs)
        )


def _any(_unit: Unit) -> bool:
    return True


def aims(budget: Budget, gauge: Gauge) -> tuple[Aim, ...]:
    """The limits of a budget. Measures the original; raises UsageError for limits that nothing can keep."""
    made: list[Aim] = []
    if budget.max_drop is not None:
        if gauge.judge is None:
            raise UsageError("max-drop needs data and a metric to measure it with (--data, --metric)")
        made.append(_drop(budget.max_drop, gauge.judge))
    if budget.max_latency is not None:
        made.append(_latency(budget.max_latency, budget.texts["max_latency"], gauge))
    if budget.max_size is not None:
        made.append(_size(budget.max_size, budget.texts["max_size"], gauge))
    if budget.never_slower:
        made.append(Aim("never-slower", "", "times", 1.0, gauge.slowdown, _slowdown, beyond_noise=True))
    return tuple(made)


def _drop(drop: Drop, judge: Judge) -> Aim:
    scale = 100.0 if judge.share else 1.0

    def between(model: Path, other: Path) -> Figure:
        return judge.interval(model, other).scaled(scale)

    return Aim(
        "max-drop",
        str(drop),
        "points" if judge.share else "",
        drop.of(judge.score, share=judge.share) * scale,
        lambda model: judge.loss(model).scaled(scale),
        lambda measured: (_lost(judge, measured).scaled(scale), judge.score * scale),
        between,
        lossy=True,
        metric=judge.metric.name,
    )


def _lost(judge: Judge, measured: Measured) -> Figure:
    return Figure(math.nan, math.nan, math.nan) if measured.evaluation is None else judge.lost(measured.evaluation)


def _latency(allowed: float, given: str, gauge: Gauge) -> Aim:
    seconds = gauge.seconds
    return Aim("max-latency", given, "s", allowed, lambda model: gauge.slowdown(model).scaled(seconds), _seconds)


def _size(allowed: int, given: str, gauge: Gauge) -> Aim:
    least = gauge.least
    if allowed < least:
        raise UsageError(f"max-size: {given} cannot be kept: the model's outputs and metadata alone take "
                         f"{least} bytes")  # fmt: skip
    return Aim(
        "max-size",
        given,
        "B",
        allowed,
        lambda model: Figure.exactly(gauge.size(model)),
        lambda measured: (Figure.exactly(gauge.size(measured.result)), gauge.size(measured.original)),
    )


def _seconds(measured: Measured) -> tuple[Figure, float]:
    """Median seconds of a run; the interval is as wide as that of the ratio."""
    original, result = _timed(measured)
    ratio = _slowdown(measured)[0]
    return ratio.scaled(result / ratio.value), original


def _slowdown(measured: Measured) -> tuple[Figure, float]:
    found = None if measured.bench is None else measured.bench.results[1].ratio
    return Figure(math.nan, math.nan, math.nan) if found is None else Figure(found.value, found.low, found.high), 1.0


def _timed(measured: Measured) -> tuple[float, float]:
    results = () if measured.bench is None else measured.bench.results
    return (results[0].latency.p50, results[1].latency.p50) if results else (math.nan, math.nan)
