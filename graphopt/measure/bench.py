"""How fast models are beside each other, how much memory and how many bytes they take, and where their time goes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphopt.data.opening import open_data
from graphopt.data.source import Data
from graphopt.errors import UsageError
from graphopt.ir.model import Model
from graphopt.measure.course import Course, Limits, Progress
from graphopt.measure.environment import environment
from graphopt.measure.feeding import Feeding, check_same, drawings, given
from graphopt.measure.provider import CPU, check_provider, check_threads, short
from graphopt.measure.record import Bench
from graphopt.measure.statistics import Ratio
from graphopt.measure.subject import sources, subjects
from graphopt.numerics.inputs import Feeds

if TYPE_CHECKING:
    from graphopt.measure.subject import Source

SECONDS, PRECISION = 30.0, 0.01
"""By default, for one setting: how long, and how far the ends of an interval may be from its middle."""
MOST_BATCH = 1 << 16


def bench(
    models: Source | Sequence[Source],
    *,
    feeds: Feeds | None = None,
    data: Data | str | Path | None = None,
    provider: str = CPU,
    threads: Sequence[int | None] = (None,),
    batches: Sequence[int | None] = (None,),
    sizes: Mapping[str, int] | None = None,
    profile: bool = False,
    seconds: float = SECONDS,
    precision: float = PRECISION,
    seed: int = 0,
    allow_outside: bool = False,
    progress: Progress = lambda _: None,
) -> Bench:
    """Measure models beside each other, on the same inputs, in every setting of batch and threads.

    models: paths, serialised models, messages or `Model`s; the first is what the others are compared with.
    feeds: inputs by name; by default they are drawn by `seed`. data: what `open_data` takes or gives, of which the
        first batch is fed.
    provider, threads: as for `open_session`.
    batches: samples in one run; None is 1, or as many as `feeds` hold.
    sizes: of free dimensions, by name.
    profile: also measure, in runs of their own, where the time goes.
    seconds: for the timing of one setting, though no fewer than six processes run; precision: at which it ends
        sooner, after ten processes, as a share of the ratios.
    seed: of drawn inputs and of the order in which models have their turns.
    progress: called with what is being done.

    Raises UsageError for arguments that do not fit, ModelError for a model that cannot be read, loaded or run.
    """
    started = time.perf_counter()
    wanted = sources(models)
    _check(wanted, batches, seconds, precision, both=feeds is not None and data is not None)
    provider = short(check_provider(provider))
    numbers = [check_threads(one) for one in threads]
    if not numbers:
        raise UsageError("there is no number of threads to measure; leave it out for one thread for each core")
    machine = environment()
    with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
        candidates = subjects(wanted, Path(folder), allow_outside=allow_outside)
        first = candidates[0].model
        held = None if data is None else open_data(data, first)
        feedings = [_ways(first, feeds, held, batch, sizes or {}, seed) for batch in batches]
        for other in candidates[1:]:
            for ways in feedings:
                check_same(first, other.model, ways[0])
        course = Course(candidates, provider, Limits(seconds, precision), seed, profile, progress)
        settings = tuple(course.setting(ways, number) for ways in feedings for number in numbers)
    return Bench(
        models=tuple(one.name for one in candidates),
        provider=provider,
        feeds=held.name if held is not None else "drawn" if feeds is None else "given",
        settings=settings,
        environment=machine,
        seed=seed,
        seconds=time.perf_counter() - started,
    )


def latency_ratio(a: Source, b: Source, **options: Any) -> Ratio:
    """How many times as long as a run of `a` one of `b` takes: below 1, `b` is faster. Options are those of `bench`."""
    other = bench([a, b], **options).results[1].ratio
    if other is None:
        raise AssertionError("only the first model has no ratio")
    return other


def _check(
    models: Sequence[Source], batches: Sequence[int | None], seconds: float, precision: float, *, both: bool
) -> None:
    if not models:
        raise UsageError("there is no model to measure")
    if not batches:
        raise UsageError("there is no batch to measure; leave it out to measure one sample")
    if both:
        raise UsageError("give either feeds or data to measure on, not both")
    for batch in batches:
        if batch is not None and not 1 <= batch <= MOST_BATCH:
            raise UsageError(f"a batch must have 1 to {MOST_BATCH:,} samples, found {batch}")
    if not 0 < seconds < float("inf"):
        raise UsageError(f"the time for timing must be a number of seconds above 0, found {seconds:g}")
    if not 0 < precision < 1:
        raise UsageError(f"the precision must lie between 0 and 1, found {precision:g}")


def _ways(
    model: Model, feeds: Feeds | None, data: Data | None, batch: int | None, sizes: Mapping[str, int], seed: int
) -> list[Feeding]:
    """Inputs of one batch size, in the ways in which they may be made. Raises UsageError where they do not fit."""
    if feeds is None and data is None:
        return drawings(model, batch, sizes, seed)
    if sizes:
        raise UsageError("sizes of free dimensions are for inputs that are drawn; those that are given have theirs")
    if data is None:
        return [given(model, "feeds", feeds or {}, batch)]
    held = next(iter(data.batches(None, batch or 1)), None)
    if held is None:
        raise UsageError(f"{data.name} holds no samples")
    return [given(model, data.name, held.feeds, batch)]
