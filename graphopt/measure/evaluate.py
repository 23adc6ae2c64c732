"""How good models are on data: scores, and differences to the first model, each with its interval."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graphopt.data.batch import Batch
from graphopt.data.interface import Interface, interface, same_inputs
from graphopt.data.opening import open_data
from graphopt.data.source import Data
from graphopt.errors import UsageError
from graphopt.ir.types import Array
from graphopt.ir.words import listed
from graphopt.measure.bootstrap import Estimate, estimates
from graphopt.measure.metrics import Metric, Observed, metric
from graphopt.measure.metrics.classes import check_classes
from graphopt.measure.provider import CPU, Session, check_provider, check_threads, open_session
from graphopt.measure.subject import Subject, sources, subjects

if TYPE_CHECKING:
    from graphopt.measure.subject import Source

SCHEMA = 1
"""Version of the JSON layout; grows when a field changes its meaning or vanishes."""

Progress = Callable[[int, int | None], None]
"""Called with the number of samples that are done, and of all, if that is known."""


@dataclass(frozen=True)
class Measure:
    """What a metric says of itself.

    unit: "%" for a share between 0 and 1, "dB", or "" for a plain number. relative: it compares with the original.
    """

    name: str
    unit: str
    higher_is_better: bool
    relative: bool


@dataclass(frozen=True)
class Score:
    """A metric of a model.

    difference: to the first model; None for that itself, and for metrics that compare models anyway.
    """

    metric: str
    value: Estimate
    difference: Estimate | None


@dataclass(frozen=True)
class Scored:
    """A model and its scores, in the order of the metrics."""

    model: str
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class Evaluation:
    """What came of an evaluation.

    samples: how many were fed. reference: the original that models were compared with; None where no metric compares.
    left_to_cpu: nodes that the provider did not take, by model.
    """

    data: str
    samples: int
    metrics: tuple[Measure, ...]
    models: tuple[Scored, ...]
    reference: str | None
    provider: str
    threads: int
    seed: int
    left_to_cpu: dict[str, tuple[str, ...]]
    seconds: float
    schema: int = SCHEMA

    def score(self, metric: str, model: int = 0) -> Score:
        """The score of a model, by its place. Raises KeyError for a metric that was not computed."""
        for one in self.models[model].scores:
            if one.metric == metric:
                return one
        raise KeyError(metric)


def evaluate(
    models: Source | Sequence[Source],
    data: Data | str | Path,
    metrics: str | Metric | Sequence[str | Metric],
    *,
    reference: Source | None = None,
    provider: str = CPU,
    threads: int | None = None,
    batch: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    allow_outside: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Score models on data, all of them on the same samples, which are read once and never all in memory.

    models: paths, serialised models, messages or `Model`s; the first is what the others are compared with.
    data: what `open_data` takes or gives.
    metrics: names such as "top1" (see `METRICS`), "module:function", or `Metric`s.
    reference: the original, for metrics that compare with one; by default the first model.
    provider, threads: as for `open_session`.
    batch: samples at a time, by default what the models were exported for, or a number that suits most.
    limit: only the first samples.
    seed: of the draws of the bootstrap.
    progress: called after every batch.

    Raises UsageError for data or labels that do not fit, a metric that cannot be computed, or a provider that is not
    there, as far as that can be known before anything runs; ModelError for a model that cannot be read, loaded or run.
    """
    started = time.perf_counter()
    measures = _metrics(metrics)
    compared = any(one.needs_reference for one in measures)
    separate = [reference] if compared and reference is not None else []
    wanted = [*sources(models), *separate]
    _check_arguments(wanted, measures, batch, limit)
    check_provider(provider)
    number = check_threads(threads)
    with tempfile.TemporaryDirectory(prefix="graphopt-") as folder, contextlib.ExitStack() as stack:
        lying = subjects(wanted, Path(folder), allow_outside=allow_outside)
        shapes = _interfaces(lying)
        opened = open_data(data, shapes[0])
        _check(measures, shapes, opened)
        exported = next((shape.batch for shape in shapes if shape.batch is not None), None)
        feeding = Feeding(opened, _size(shapes, opened, batch), exported, limit, progress)
        opening = (open_session(one.path, provider=provider, threads=number, name=one.name) for one in lying)
        sessions = list(map(stack.enter_context, opening))
        kept, samples = _run(sessions, feeding, measures, separate=bool(separate))
        left = {one.name: tuple(map(str, session.left_to_cpu)) for one, session in zip(lying, sessions, strict=True)}
    return Evaluation(
        data=opened.name,
        samples=samples,
        metrics=tuple(Measure(one.name, one.unit, one.higher_is_better, one.needs_reference) for one in measures),
        models=_scored([one.name for one in lying[: len(kept)]], measures, kept, seed),
        reference=(shapes[-1] if separate else shapes[0]).name if compared else None,
        provider=provider.lower(),
        threads=number,
        seed=seed,
        left_to_cpu={name: nodes for name, nodes in left.items() if nodes},
        seconds=time.perf_counter() - started,
    )


def _check_arguments(models: Sequence[Source], metrics: Sequence[Metric], batch: int | None, limit: int | None) -> None:
    if not models:
        raise UsageError("there is no model to evaluate")
    comparing = [one.name for one in metrics if one.needs_reference]
    if comparing and len(models) == 1:
        raise UsageError(f"{listed(comparing)}: give a second model, or the original to compare with (reference)")
    for number, name in ((batch, "batch"), (limit, "limit")):
        if number is not None and number < 1:
            raise UsageError(f"the {name} must be at least 1 sample, found {number}")


def _interfaces(models: Sequence[Subject]) -> list[Interface]:
    """Raises UsageError where they take different inputs."""
    found = [interface(one.model, one.name) for one in models]
    for other in found[1:]:
        same_inputs(found[0], other)
    return found


def _metrics(metrics: str | Metric | Sequence[str | Metric]) -> list[Metric]:
    given = [metrics] if isinstance(metrics, str | Metric) else list(metrics)
    found = {one.name: one for one in map(metric, given)}
    if not found:
        raise UsageError("there is no metric to compute; give one, such as top1")
    return list(found.values())


def _check(metrics: Sequence[Metric], models: Sequence[Interface], data: Data) -> None:
    """Raises UsageError where a metric cannot be computed, as far as the data and the models tell beforehand."""
    for one in metrics:
        ports = [one.port(model) for model in models]
        if one.needs_labels and not data.labelled:
            raise UsageError(
                f"{one.name} needs labels, and {data.name} has none: put them into an array called label, or say where "
                "they are (--labels)"
            )
        if one.labels == "class":
            shape = ports[0].shape
            scores = shape[-1] if shape and ports[0].dtype is not None and ports[0].dtype.kind not in "iub" else None
            first = 0
            for labels in data.labels():
                check_classes(labels, scores if isinstance(scores, int) and scores > 1 else None, first=first)
                first += len(labels)


def _size(models: Sequence[Interface], data: Data, batch: int | None) -> int | None:
    """Samples at a time: what all models take. Raises UsageError if they do not agree."""
    sizes = {model.batch: model.name for model in models if model.batch is not None}
    if batch is not None:
        sizes.setdefault(batch, "the batch that is asked for")
    if len(sizes) > 1:
        said = ", ".join(f"{name} {size}" for size, name in sizes.items())
        raise UsageError(
            f"{data.name} cannot be fed to all models at once, which take different numbers of samples: {said}"
        )
    return next(iter(sizes), None)


@dataclass(frozen=True)
class Feeding:
    """Batches of data, up to a limit, and who is told how far it came.

    size: samples in a batch, or None for what suits the data. exported: the number of which every batch must be.
    """

    data: Data
    size: int | None
    exported: int | None
    limit: int | None
    progress: Progress | None

    def batches(self) -> Iterator[tuple[int, Batch]]:
        """Each batch, and the number of its first sample. Raises UsageError if there is none."""
        total = min((one for one in (self.data.count, self.limit) if one is not None), default=None)
        done = 0
        for batch in self.data.batches(self.size, self.limit):
            yield done, batch if self.exported is None else batch.padded(self.exported)
            done += batch.count
            if self.progress is not None:
                self.progress(done, None if self.data.count is None else total)
        if not done:
            raise UsageError(f"{self.data.name} holds no samples")


def _run(
    sessions: Sequence[Session], feeding: Feeding, metrics: Sequence[Metric], *, separate: bool
) -> tuple[list[list[Array]], int]:
    """For each model and metric what is kept of all samples, and their number.

    separate: the last model is only what the others are compared with; otherwise the first one is that too.
    """
    judged = sessions[:-1] if separate else sessions
    kept: list[list[list[Array]]] = [[[] for _ in metrics] for _ in judged]
    samples = 0
    for first, batch in feeding.batches():
        outputs = [batch.outputs(session.run(batch.feeds)) for session in sessions]
        reference = outputs[-1 if separate else 0]
        for found, places in zip(outputs, kept, strict=False):
            for one, place in zip(metrics, places, strict=True):
                place.append(_update(one, found, reference, batch, first))
        samples = first + batch.count
    return [[np.concatenate(place) for place in places] for places in kept], samples


def _update(one: Metric, found: Mapping[str, Array], reference: Mapping[str, Array], batch: Batch, first: int) -> Array:
    """What a metric keeps of a batch. Raises UsageError that says where it cannot be computed."""
    seen = Observed(found, batch.labels, reference if one.needs_reference else None, batch.feeds)
    try:
        kept = np.asarray(one.update(seen))
    except UsageError as error:
        raise UsageError(f"{one.name}, in the batch of {batch.count} from sample {first} on: {error}") from error
    if len(kept) != batch.count:
        raise UsageError(f"{one.name} gave {len(kept)} rows for {batch.count} samples, expected one for each")
    return kept


def _scored(
    names: Sequence[str], metrics: Sequence[Metric], kept: Sequence[Sequence[Array]], seed: int
) -> tuple[Scored, ...]:
    columns = []
    for index, one in enumerate(metrics):
        found = estimates([places[index] for places in kept], one.score, resamples=one.resamples, seed=seed)
        columns.append(
            [Score(one.name, value, None if one.needs_reference else difference) for value, difference in found]
        )
    return tuple(Scored(name, tuple(column[index] for column in columns)) for index, name in enumerate(names))
