"""One setting of a benchmark: models alone, then beside each other in one process after another."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from graphopt.measure.execution import Job, Timings, Trial, profiled, together, trial
from graphopt.measure.feeding import Feeding
from graphopt.measure.isolated import isolated
from graphopt.measure.latency import Pace, pace
from graphopt.measure.provider import RunError
from graphopt.measure.record import Measured, Setting
from graphopt.measure.statistics import FEWEST, Ratio, log_ratio, ratio, summary
from graphopt.measure.subject import Subject
from graphopt.numerics.feeds import FeedPlan

PROCESS_S, LONGEST_PROCESS_S = 0.7, 3.0
"""Seconds of timing in one process: as many as it takes to start one and load a model, within these bounds."""
MOST = 100
"""Processes in which models are timed."""
SURE = 10
"""Processes from which on a narrow interval is believed: of fewer, some are narrow by chance."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Limits:
    """When to stop: when no interval is wider than `precision` to each side, or after `seconds`."""

    seconds: float
    precision: float

    def enough(self, ratios: Sequence[Ratio], processes: int, seconds: float) -> bool:
        """Whether so many processes and seconds are enough. The width alone decides, not where an interval lies."""
        if processes < FEWEST:
            return False
        narrow = processes >= SURE and bool(ratios) and all(one.width <= 2 * self.precision for one in ratios)
        return narrow or seconds >= self.seconds or processes >= MOST


@dataclass(frozen=True)
class Course:
    """Measures `subjects`, the first of which is what the others are compared with, within `limits`."""

    subjects: Sequence[Subject]
    provider: str
    limits: Limits
    seed: int
    profile: bool
    progress: Progress

    def setting(self, ways: Sequence[Feeding], threads: int) -> Setting:
        """Measure all models on the first of `ways` on which the first model runs. Raises ModelError, UsageError."""
        feeding, job, first = self._first(ways, threads)
        begin = time.monotonic()
        trials = [first, *(self._trial(subject, job) for subject in self.subjects[1:])]
        start_s = (time.monotonic() - begin) / max(1, len(trials) - 1)
        limit_s = max(PROCESS_S, min(start_s, LONGEST_PROCESS_S))
        timings = self._timings(job, pace([one.seconds for one in trials], limit_s))
        return Setting(
            batch=feeding.samples,
            threads=threads,
            inputs=feeding.types,
            sizes=feeding.sizes,
            assumed=feeding.assumed,
            processes=len(timings),
            rounds=sum(len(one.running[0]) for one in timings),
            models=tuple(self._measured(place, feeding, job, one, timings) for place, one in enumerate(trials)),
        )

    def _first(self, ways: Sequence[Feeding], threads: int) -> tuple[Feeding, Job, Trial]:
        """How the first model runs. Raises the error of the first way if it runs in none."""
        failures = []
        names = {subject.path: subject.name for subject in self.subjects}
        for way in ways:
            job = Job(way.feeds, idle(), names, self.provider, threads)
            try:
                return way, job, self._trial(self.subjects[0], job)
            except RunError as error:
                failures.append(error)
        drawn = isinstance(ways[0].feeds, FeedPlan)
        raise RunError(f"{failures[0]}; give inputs with which it runs (--feeds)") if drawn else failures[0]

    def _trial(self, subject: Subject, job: Job) -> Trial:
        self.progress(f"loading {subject.name}")
        return isolated(subject.name, trial, subject.path, job)

    def _timings(self, job: Job, pace: Pace) -> list[Timings]:
        """What one process after another measures, until that is enough."""
        begin, timings = time.monotonic(), list[Timings]()
        paths = [subject.path for subject in self.subjects]
        for index in count():
            ratios = [] if index < FEWEST else [ratio_of(timings, place) for place in range(1, len(paths))]
            if self.limits.enough(ratios, index, time.monotonic() - begin):
                break
            self.progress(f"timing, process {index + 1}")
            timings.append(isolated("the timing", together, paths, job, pace, (self.seed, index)))
        return timings

    def _measured(self, place: int, feeding: Feeding, job: Job, alone: Trial, timings: Sequence[Timings]) -> Measured:
        subject = self.subjects[place]
        latency = summary(np.concatenate([one.running[place].ravel() for one in timings]))
        if self.profile:
            self.progress(f"profiling {subject.name}")
        return Measured(
            model=subject.name,
            batch=feeding.samples,
            threads=alone.threads,
            latency=latency,
            throughput=feeding.samples / latency.p50,
            ratio=ratio_of(timings, place) if place else None,
            load_seconds=statistics.median(one.loading[place] for one in timings),
            memory=alone.memory,
            file_bytes=subject.file_bytes,
            operators=isolated(subject.name, profiled, subject.path, job) if self.profile else (),
            left_to_cpu=alone.left_to_cpu,
        )


def ratio_of(timings: Sequence[Timings], place: int) -> Ratio:
    """The ratio of the latency of a model to that of the first one. A turn counts by its fastest run."""
    turns = [[one.running[model].min(axis=1) for model in (0, place)] for one in timings]
    return ratio([log_ratio(reference, other) for reference, other in turns])


def idle() -> bytes:
    """A serialised model that does nothing."""
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "idle", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())
