"""How good models are on data: scores, and differences to the first model, each with its interval."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphopt.data.batch import Batch
from graphopt.data.interface import Interface, interface, same_inputs
from graphopt.data.opening import open_data
from graphopt.data.source import Data
from graphopt.errors import UsageError
from graphopt.ir.model import Model
from graphopt.ir.reader import load
from graphopt.ir.types import Array
from graphopt.measure.bootstrap import Estimate, estimates
from graphopt.measure.metrics import Metric, Observed, metric
from graphopt.measure.metrics.classes import check_classes
from graphopt.measure.provider import CPU, Session, check_provider, check_threads, open_session

SCHEMA = 1
"""Version of the JSON layout; grows when a field changes its meaning or vanishes."""

Source = str | Path | bytes | Model
Progress = Callable[[int, int | None], None]
"""Called with the number of samples that are done, and of all, if that is known."""


@dataclass(frozen=True)
class Measure:
    """What a metric says of itself. unit: "%" for a share between 0 and 1, "dB", or "" for a plain number."""

    name: str
    unit: str
    higher_is_better: bool


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
    models: Sequence[Source] | Source,
    data: Data | str | Path,
    metrics: Sequence[str | Metric] | str | Metric,
    *,
    reference: Source | None = None,
    provider: str = CPU,
    threads: int | None = None,
    batch: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Score models on data, all of them on the same samples, which are read once and never all in memory.

    models: paths, serialised models or `Model`s. data: what `open_data` gives, or what it takes. metrics: names such as
    "top1" (see `METRICS`), "module:function", or `Metric`s. reference: the original, for metrics that compare with one;
    by default the first model. batch: samples at a time, by default what the models were exported for. limit: only the
    first samples. seed: of the draws of the bootstrap.

    Raises UsageError for data or labels that do not fit, a metric that cannot be computed, or a provider that is not
    there, as far as that can be known before anything runs; ModelError for a model that cannot be loaded or run.
    """
    started = time.perf_counter()
    sources = [models] if isinstance(models, Source) else list(models)
    measures = _metrics(metrics)
    if not sources:
        raise UsageError("there is no model to evaluate")
    if limit is not None and limit < 1:
        raise UsageError(f"the limit must be at least 1 sample, found {limit}")
    if any(one.needs_reference for one in measures) and reference is not None:
        sources.append(reference)
    else:
        reference = None
    check_provider(provider)
    shapes = [_interface(one, place) for place, one in enumerate(sources)]
    for other in shapes[1:]:
        same_inputs(shapes[0], other)
    opened = open_data(data, shapes[0])
    _check(measures, shapes, opened)
    size = _size(shapes, opened, batch)
    with contextlib.ExitStack() as stack:
        sessions = [
            stack.enter_context(open_session(_runnable(one), provider=provider, threads=threads, name=shape.name))
            for one, shape in zip(sources, shapes, strict=True)
        ]
        kept, samples = _run(sessions, opened, measures, size, limit, progress, separate=reference is not None)
        left = {shape.name: tuple(map(str, one.left_to_cpu)) for one, shape in zip(sessions, shapes, strict=True)}
    scored = _scored([shape.name for shape in shapes[: len(kept)]], measures, kept, seed)
    compared = any(one.needs_reference for one in measures)
    return Evaluation(
        data=opened.name,
        samples=samples,
        metrics=tuple(Measure(one.name, one.unit, one.higher_is_better) for one in measures),
        models=scored,
        reference=(shapes[-1] if reference is not None else shapes[0]).name if compared else None,
        provider=provider,
        threads=check_threads(threads),
        seed=seed,
        left_to_cpu={name: nodes for name, nodes in left.items() if nodes},
        seconds=time.perf_counter() - started,
    )


def _metrics(metrics: Sequence[str | Metric] | str | Metric) -> list[Metric]:
    given = [metrics] if isinstance(metrics, str | Metric) else list(metrics)
    found = {one.name: one for one in map(metric, given)}
    if not found:
        raise UsageError("there is no metric to compute; give one, such as top1")
    return list(found.values())


def _interface(source: Source, place: int) -> Interface:
    if isinstance(source, bytes):
        from dataclasses import replace

        return replace(interface(load(source)), name=f"model {place + 1}")
    return interface(source)


def _runnable(source: Source) -> str | bytes:
    """What the runtime takes: a path, or the bytes of a file. Raises OutputError for a Model above 2 GB."""
    if isinstance(source, Model):
        return bytes(source.to_proto().SerializeToString())
    return source if isinstance(source, bytes) else str(source)


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
        sizes.setdefault(batch, "--batch")
    if len(sizes) > 1:
        said = ", ".join(f"{name} {size}" for size, name in sizes.items())
        raise UsageError(
            f"{data.name} cannot be fed to all models at once, which take different numbers of samples: {said}"
        )
    return next(iter(sizes), None)


def _run(
    sessions: Sequence[Session],
    data: Data,
    metrics: Sequence[Metric],
    size: int | None,
    limit: int | None,
    progress: Progress | None,
    *,
    separate: bool,
) -> tuple[list[list[Array]], int]:
    """For each model but a separate reference and each metric, what it keeps of all samples; and their number."""
    judged = sessions[:-1] if separate else sessions
    kept: list[list[list[Array]]] = [[[] for _ in metrics] for _ in judged]
    total = data.count if limit is None or data.count is None else min(limit, data.count)
    done = 0
    for batch in data.batches(size, limit):
        outputs = [batch.outputs(session.run(batch.feeds)) for session in sessions]
        reference = outputs[-1 if separate else 0]
        for found, places in zip(outputs, kept, strict=False):
            for one, place in zip(metrics, places, strict=True):
                place.append(_update(one, found, reference, batch, done))
        done += batch.count
        if progress is not None:
            progress(done, total)
    if not done:
        raise UsageError(f"{data.name} holds no samples")
    return [[np.concatenate(place) for place in places] for places in kept], done


def _update(one: Metric, found: Mapping[str, Array], reference: Mapping[str, Array], batch: Batch, done: int) -> Array:
    """What a metric keeps of a batch. Raises UsageError that says where it cannot be computed."""
    seen = Observed(found, batch.labels, reference if one.needs_reference else None, batch.feeds)
    try:
        kept = np.asarray(one.update(seen))
    except UsageError as error:
        raise UsageError(f"{one.name}, in the batch of {batch.count} from sample {done} on: {error}") from error
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
