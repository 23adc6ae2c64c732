"""What is measured in a process of its own: memory, speed beside other models, a profile.

`isolated` calls these functions; their arguments and results can be pickled.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphopt.errors import ModelError
from graphopt.measure import latency, memory
from graphopt.measure.latency import Pace
from graphopt.measure.profile import OperatorTime, operator_times
from graphopt.measure.provider import CPU, Placed, Session, open_session
from graphopt.numerics.feeds import FeedPlan
from graphopt.numerics.values import Array

Feeds = Mapping[str, Array] | FeedPlan
PROFILED_RUNS, PROFILED_S = 20, 2.0
"""Runs that are profiled, or as many as fit into these seconds."""


@dataclass(frozen=True)
class Job:
    """How models are run: on which inputs, by which provider, with how many threads.

    idle: a serialised model that does nothing, with an input x float[1]. names: of the models in errors, by path.
    """

    feeds: Feeds
    idle: bytes
    names: Mapping[str, str]
    provider: str = CPU
    threads: int | None = None

    def open(self, path: str, profile: Path | None = None) -> Session:
        """Load a model. Raises as `open_session`."""
        name = self.names.get(path, path)
        return open_session(path, provider=self.provider, threads=self.threads, profile=profile, name=name)

    def arrays(self) -> Mapping[str, Array]:
        """The inputs. Raises ModelError if they are too large to be drawn."""
        if not isinstance(self.feeds, FeedPlan):
            return self.feeds
        try:
            return self.feeds.draw()
        except (MemoryError, ValueError) as error:
            raise ModelError(f"the inputs are too large to be drawn: {error}") from error


@dataclass(frozen=True)
class Trial:
    """A model alone. memory: bytes that it added at most while it was loaded and run. seconds: of a run, roughly."""

    memory: int
    seconds: float
    threads: int
    left_to_cpu: tuple[Placed, ...]


@dataclass(frozen=True)
class Timings:
    """Models in one process. loading: seconds of each. running: seconds of each model's runs, [rounds, runs]."""

    loading: tuple[float, ...]
    running: tuple[Array, ...]


def trial(path: str, job: Job) -> Trial:
    """Load and run one model in this process, which has not run any other. Raises ModelError, UsageError."""
    feeds = job.arrays()
    _wake(job)
    memory.forget_peak()
    before = memory.held()
    with job.open(path) as session:
        run = session.prepared(feeds)
        latency.warm(run)
        seconds = latency.estimate(run)
        return Trial(max(0, memory.peak() - before), seconds, session.threads, session.left_to_cpu)


def together(paths: Sequence[str], job: Job, pace: Pace, seed: Sequence[int]) -> Timings:
    """Load models and run them until they are warm, in an order drawn by `seed`; then run them in turns at `pace`.

    Nothing but chance tells equal models apart. Raises ModelError, UsageError.
    """
    rng = np.random.default_rng(seed)
    feeds = job.arrays()
    _wake(job)
    runs: dict[int, Callable[[], object]] = {}
    loading: dict[int, float] = {}
    for index in rng.permutation(len(paths)).tolist():
        begin = time.perf_counter()
        session = job.open(paths[index])
        loading[index] = time.perf_counter() - begin
        runs[index] = session.prepared(feeds)
        latency.warm(runs[index])
    places = range(len(paths))
    running = latency.interleaved([runs[index] for index in places], pace, rng)
    return Timings(tuple(loading[index] for index in places), tuple(running))


def profiled(path: str, job: Job) -> tuple[OperatorTime, ...]:
    """Where the time of a model goes. What the runtime writes is removed again. Raises ModelError, UsageError."""
    with (
        tempfile.TemporaryDirectory(prefix="graphopt-") as folder,
        job.open(path, Path(folder) / "profile") as session,
    ):
        _wake(job)
        run = session.prepared(job.arrays())
        latency.warm(run)
        end = time.perf_counter() + PROFILED_S
        for _ in range(PROFILED_RUNS):
            run()
            if time.perf_counter() > end:
                break
        return operator_times(session.end_profile(), skip=latency.WARM_UPS)


def _wake(job: Job) -> None:
    """Let the runtime and its provider do what they do once in a process, with a model that does nothing.

    On the CPU nothing more may be allocated than is free: other providers reserve more than they use.
    """
    if job.provider == CPU:
        memory.restrict()
    with open_session(job.idle, provider=job.provider, threads=job.threads) as session:
        session.run({"x": np.zeros(1, np.float32)})
