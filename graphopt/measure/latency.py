"""Timing several models side by side in one process: short turns, in an order that is drawn anew for each round."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.numerics.values import Array

Clock = Callable[[], float]
Run = Callable[[], object]

TURN_S, LONGEST_TURN_S = 0.005, 0.05
"""A turn of the fastest model lasts about this long, so that neither the clock nor cold caches matter, unless the turn
of the slowest then lasts longer than it may."""
SHORTEST_S = 1e-5
"""No run is taken to be shorter: so long it takes to call the runtime."""
FEWEST_ROUNDS, MOST_ROUNDS = 2, 100
WARM_UPS = 2
TRIALS, TRIAL_S = 5, 0.1
"""Runs, or seconds if these come first, by which the pace is set."""


@dataclass(frozen=True)
class Pace:
    """runs: timed ones in a turn. rounds: in each of which every model has a turn.

    The number of runs is the same for all models: the fastest of five runs takes less time than the fastest of two, on
    the average, though the models are equal.
    """

    runs: int
    rounds: int


def warm(run: Run) -> None:
    """Run a model until it is warm: what a run does only the first time is done."""
    for _ in range(WARM_UPS):
        run()


def estimate(run: Run, clock: Clock = time.perf_counter) -> float:
    """Seconds that a run of a warm model takes, more or less."""
    times: list[float] = []
    while not times or (len(times) < TRIALS and sum(times) < TRIAL_S):
        times += _timed(run, 1, clock)
    return statistics.median(times)


def pace(seconds: Sequence[float], limit: float) -> Pace:
    """How many runs and rounds make up about `limit` seconds, where one run of each model takes `seconds`."""
    fastest, slowest = max(min(seconds), SHORTEST_S), max(*seconds, SHORTEST_S)
    runs = max(1, round(min(TURN_S / fastest, LONGEST_TURN_S / slowest)))
    turns = (runs + (runs > 1)) * max(sum(seconds), SHORTEST_S)
    return Pace(runs, max(FEWEST_ROUNDS, min(MOST_ROUNDS, int(limit / turns))))


def interleaved(
    models: Sequence[Run], pace: Pace, rng: np.random.Generator, clock: Clock = time.perf_counter
) -> list[Array]:
    """Seconds of every timed run, for each model an array [rounds, runs].

    In every second round the order of the models is that of the round before, backwards. A turn of more than one run
    begins with one that is not timed: the model before has left the caches full of its own.
    """
    times = [np.empty((pace.rounds, pace.runs)) for _ in models]
    order = list(range(len(models)))
    collecting = gc.isenabled()
    gc.disable()
    try:
        for index in range(pace.rounds):
            order = rng.permutation(len(models)).tolist() if index % 2 == 0 else order[::-1]
            for model in order:
                if pace.runs > 1:
                    models[model]()
                times[model][index] = _timed(models[model], pace.runs, clock)
    finally:
        if collecting:
            gc.enable()
    return times


def _timed(run: Run, count: int, clock: Clock) -> list[float]:
    times = []
    for _ in range(count):
        begin = clock()
        run()
        times.append(clock() - begin)
    return times
