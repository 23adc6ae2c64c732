"""The limits of a budget as things to measure: what each is called, allows, and takes to find out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from graphopt.budget.gauge import Gauge, Judge
from graphopt.budget.limits import Budget
from graphopt.budget.record import Cost, Figure, Limit
from graphopt.budget.search import Objective, Unit, excess
from graphopt.budget.trials import Trials
from graphopt.budget.values import Drop
from graphopt.errors import UsageError


@dataclass(frozen=True)
class Aim:
    """A limit. allowed and original are in the unit of the report, and so are all measures.

    measure: of a model, quickly. judge: of the result, with its interval. between: how much more of the limit the
    second model takes than the first, where that is known better than by the difference of their measures.
    """

    name: str
    given: str
    unit: str
    allowed: float
    original: float
    measure: Callable[[Path], Figure]
    judge: Callable[[Path], Figure]
    between: Callable[[Path, Path], Figure] | None = None
    lossy: bool = False
    """Whether lossy rewrites are the first suspects."""
    beyond_noise: bool = False

    def objective(self, trials: Trials) -> Objective:
        """The limit over what `trials` compiles."""
        return Objective(
            self.name,
            self.allowed,
            lambda left: trials.known(self.name, left, self.measure),
            (lambda unit: unit.key is not None) if self.lossy else _any,
            self.beyond_noise,
        )

    def limit(self, result: Path, costs: Iterable[Cost]) -> Limit:
        """How the result stands to the limit."""
        found = self.judge(result)
        met = excess(found, self.allowed, beyond_noise=self.beyond_noise) <= 0
        return Limit(self.name, self.given, self.unit, self.allowed, self.original, found, met, tuple(costs))


def _any(_unit: Unit) -> bool:
    return True


def aims(budget: Budget, gauge: Gauge) -> tuple[Aim, ...]:
    """The limits of a budget. Measures the original; raises UsageError for limits that nothing can keep."""
    return tuple(_aims(budget, gauge))


def _aims(budget: Budget, gauge: Gauge) -> Iterator[Aim]:
    if budget.max_drop is not None:
        if gauge.judge is None:
            raise UsageError("max-drop needs data and a metric to measure it with (--data, --metric)")
        yield _drop(budget.max_drop, gauge.judge)
    if budget.max_latency is not None:
        seconds = gauge.seconds

        def latency(model: Path) -> Figure:
            return gauge.slowdown(model).scaled(seconds)

        allowed = budget.max_latency
        yield Aim("max-latency", budget.texts["max_latency"], "s", allowed, seconds, latency, latency)
    if budget.max_size is not None:

        def size(model: Path) -> Figure:
            return Figure.exactly(gauge.size(model))

        original = gauge.size(gauge.original)
        yield Aim("max-size", budget.texts["max_size"], "B", budget.max_size, original, size, size)
    if budget.never_slower:
        slowdown = gauge.slowdown
        yield Aim("never-slower", "", "times", 1.0, 1.0, slowdown, slowdown, beyond_noise=True)


def _drop(drop: Drop, judge: Judge) -> Aim:
    scale = 100.0 if judge.share else 1.0

    def between(model: Path, other: Path) -> Figure:
        return judge.interval(model, other).scaled(scale)

    return Aim(
        "max-drop",
        str(drop),
        "points" if judge.share else "",
        drop.of(judge.score, share=judge.share) * scale,
        judge.score * scale,
        lambda model: judge.loss(model).scaled(scale),
        lambda model: between(judge.original, model),
        between,
        lossy=True,
    )
