"""What comes of a benchmark, as frozen values: its JSON is exactly these fields."""

from __future__ import annotations

from dataclasses import dataclass

from graphopt.measure.environment import Environment
from graphopt.measure.profile import OperatorTime
from graphopt.measure.provider import Placed
from graphopt.measure.statistics import Latency, Ratio

SCHEMA = 1
"""Version of the JSON layout; grows when a field changes its meaning or vanishes."""


@dataclass(frozen=True)
class Measured:
    """One model in one setting.

    batch: samples in one run. throughput: samples per second at the median latency. ratio: of its latency to that of
    the first model, below 1 if it is faster; None for the first model itself. load_seconds: of a file that the system
    has in its cache, a median. memory: bytes that loading and running added to a process at most. file_bytes: with
    external data. operators: where the time goes, the slowest first, if that was asked for. left_to_cpu: nodes that
    the provider did not take.
    """

    model: str
    batch: int
    threads: int
    latency: Latency
    throughput: float
    ratio: Ratio | None
    load_seconds: float
    memory: int
    file_bytes: int
    operators: tuple[OperatorTime, ...]
    left_to_cpu: tuple[Placed, ...]


@dataclass(frozen=True)
class Setting:
    """All models on the same inputs, with the same threads.

    inputs: types such as `float[1, 3, 224, 224]`, by name. sizes: of free dimensions; assumed: those among them that
    nobody gave. processes, rounds: in how many every model had its turn.
    """

    batch: int
    threads: int
    inputs: dict[str, str]
    sizes: dict[str, int]
    assumed: tuple[str, ...]
    processes: int
    rounds: int
    models: tuple[Measured, ...]


@dataclass(frozen=True)
class Bench:
    """A benchmark. feeds: what the models were fed: "drawn", "given", or the name of data."""

    models: tuple[str, ...]
    provider: str
    feeds: str
    settings: tuple[Setting, ...]
    environment: Environment
    seed: int
    seconds: float
    schema: int = SCHEMA

    @property
    def results(self) -> tuple[Measured, ...]:
        """Every model in every setting."""
        return tuple(one for setting in self.settings for one in setting.models)
