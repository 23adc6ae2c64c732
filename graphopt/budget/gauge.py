"""What models are measured with: score, time and bytes, against those of the original."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from graphopt.budget.record import Figure
from graphopt.errors import UsageError
from graphopt.ir.external import bytes_on_disk
from graphopt.ir.reader import load
from graphopt.ir.writer import skeleton

if TYPE_CHECKING:
    from graphopt.budget.limits import Budget
    from graphopt.budget.values import Drop
    from graphopt.data.source import Data
    from graphopt.ir.model import Model
    from graphopt.measure.evaluate import Evaluation
    from graphopt.measure.metrics import Metric
    from graphopt.measure.record import Bench
    from graphopt.measure.statistics import Ratio


class Clock(Protocol):
    """What times models; see `graphopt.budget.clock.Stopwatch`."""

    def seconds(self, model: Path) -> float:
        """Of a run."""
        ...

    def ratio(self, model: Path, other: Path) -> Ratio:
        """How many times as long as `model` the other takes."""
        ...

    def bench(self, model: Path, other: Path) -> Bench:
        """Both models, thoroughly."""
        ...


@dataclass(frozen=True)
class Judge:
    """Scores models on data, as losses against the original: above 0 is worse, in the metric's own scale.

    Raises UsageError where the metric or the data do not fit the model.
    """

    original: Path
    data: Data
    metric: Metric
    seed: int = 0

    @property
    def share(self) -> bool:
        """Whether scores are shares, between 0 and 1."""
        return self.metric.unit == "%"

    @cached_property
    def score(self) -> float:
        """Of the original. Raises UsageError if nothing can be lost of it."""
        found = self._score(self.original)
        if not math.isfinite(found):
            raise UsageError(f"max-drop: the original scores {found} in {self.metric.name}, of which no drop can be "
                             "told; take another metric")  # fmt: skip
        return found

    def check(self) -> None:
        """Score a few samples, so that what does not fit is known. Raises UsageError."""
        self._evaluate((self.original,), dataclasses.replace(self.metric, resamples=0), limit=1)

    def loss(self, model: Path) -> Figure:
        """How much worse a model is than the original; without an interval."""
        return Figure.exactly(self._worse(self._score(model) - self.score))

    def interval(self, model: Path, other: Path) -> Figure:
        """How much worse the other model is, with its paired interval."""
        if self.metric.needs_reference:
            return self._compared(self.evaluation(other), 0) - self._compared(self.evaluation(model), 0)
        return self.lost(self.evaluation(model, other))

    def lost(self, evaluation: Evaluation) -> Figure:
        """How much worse the second model of an evaluation is than the first, with its paired interval."""
        if self.metric.needs_reference:
            return self._compared(evaluation, 1)
        found = evaluation.score(self.metric.name, 1).difference
        return Figure.exactly(math.nan) if found is None else self._figure(found.value, found.low, found.high)

    def evaluation(self, *models: Path) -> Evaluation:
        """The scores of models on all of the data, with intervals."""
        return self._evaluate(models, self.metric)

    def _compared(self, evaluation: Evaluation, place: int) -> Figure:
        """Of a metric that compares with the original: how far a model is from what the original itself scores."""
        found = evaluation.score(self.metric.name, place).value
        low, high = (None if end is None else end - self.score for end in (found.low, found.high))
        return self._figure(found.value - self.score, low, high)

    def _figure(self, value: float, low: float | None, high: float | None) -> Figure:
        ends = [self._worse(end) for end in (value if low is None else low, value if high is None else high)]
        return Figure(self._worse(value), min(ends), max(ends))

    def _worse(self, difference: float) -> float:
        return 0.0 - difference if self.metric.higher_is_better else difference

    def _score(self, model: Path) -> float:
        plain = dataclasses.replace(self.metric, resamples=0)
        return self._evaluate((model,), plain).score(self.metric.name).value.value

    def _evaluate(self, models: tuple[Path, ...], metric: Metric, limit: int | None = None) -> Evaluation:
        from graphopt.measure.evaluate import evaluate

        reference = self.original if metric.needs_reference else None
        return evaluate(list(models), self.data, metric, reference=reference, limit=limit, seed=self.seed)


@dataclass(frozen=True)
class Judged:
    """A judge as lossy passes know it: what is lost, and how much may be. metric: its name."""

    judge: Judge
    metric: str
    drop: Drop | None = None

    @property
    def allowed(self) -> float | None:
        """How much may be lost, in the scale of the metric; None where nobody said."""
        return None if self.drop is None else self.drop.of(self.judge.score, share=self.judge.share)

    def loss(self, model: Path) -> float:
        """How much worse a model is than the original."""
        return self.judge.loss(model).value


def goal_of(judge: Judge, budget: Budget | None) -> Judged:
    """What lossy passes are judged by."""
    return Judged(judge, judge.metric.name, None if budget is None else budget.max_drop)


@dataclass(frozen=True)
class Gauge:
    """What models are measured with. original: the file of the model that they are measured against."""

    original: Path
    clock: Clock
    judge: Judge | None = None

    def size(self, model: Path) -> int:
        """Bytes of a model and of the files in which its weights lie."""
        return bytes_on_disk(load(model, allow_outside=True)) or 0

    @property
    def least(self) -> int:
        """Bytes that no pass saves: outputs, metadata, and what the file says of itself."""
        shell = skeleton(load(self.original, allow_outside=True))
        for kind in ("node", "input", "initializer", "sparse_initializer", "value_info", "quantization_annotation"):
            shell.graph.ClearField(kind)
        for kind in ("functions", "training_info"):
            shell.ClearField(kind)
        return int(shell.ByteSize())

    @cached_property
    def seconds(self) -> float:
        """Median seconds of a run of the original, quickly."""
        return self.clock.seconds(self.original)

    def slowdown(self, model: Path) -> Figure:
        """How many times as long as the original a model takes, quickly."""
        return self.ratio(self.original, model)

    def ratio(self, model: Path, other: Path) -> Figure:
        """How many times as long as `model` the other takes, quickly."""
        found = self.clock.ratio(model, other)
        return Figure(found.value, found.low, found.high)


def judge_for(
    original: Path, model: Model, data: Data | str | Path | None, wanted: Metric | str | None, seed: int
) -> Judge | None:
    """What scores models on the data; None without data and metric.

    original: the file of `model`. Raises UsageError if there is one without the other, or if they do not fit.
    """
    if data is None and wanted is None:
        return None
    if data is None or wanted is None:
        missing, there = ("metric", "data") if wanted is None else ("data", "metric")
        raise UsageError(f"{there} without {missing}: give both (--data val.npz --metric top1), or neither")
    from graphopt.data.opening import open_data
    from graphopt.measure.metrics import metric

    return Judge(original, open_data(data, model), metric(wanted), seed)
