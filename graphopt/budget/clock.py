"""Timing for budgets: quick ratios while searching, and one thorough measurement of the result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphopt.data.source import Data
    from graphopt.measure.record import Bench
    from graphopt.measure.statistics import Ratio

QUICK_S, QUICK_PRECISION = 1.0, 0.05
"""While searching: as few processes as there can be for an interval."""


@dataclass(frozen=True)
class Stopwatch:
    """Times models beside each other, one sample at a time. data: the first sample is fed; by default it is drawn."""

    data: Data | None = None
    seed: int = 0

    def seconds(self, model: Path) -> float:
        """Median seconds of a run."""
        return self._bench(model, quick=True).results[0].latency.p50

    def ratio(self, model: Path, other: Path) -> Ratio:
        """How many times as long as `model` the other takes, quickly."""
        from graphopt.measure.statistics import Ratio

        found = self._bench(model, other, quick=True).results[1].ratio
        return Ratio(math.nan, 0.0, math.inf) if found is None else found

    def bench(self, model: Path, other: Path) -> Bench:
        """Both models, thoroughly."""
        return self._bench(model, other, quick=False)

    def _bench(self, *models: Path, quick: bool) -> Bench:
        from graphopt.measure.bench import PRECISION, SECONDS, bench

        seconds, precision = (QUICK_S, QUICK_PRECISION) if quick else (SECONDS, PRECISION)
        return bench(
            models,
            data=self.data,
            batches=(1,),
            seconds=seconds,
            precision=precision,
            seed=self.seed,
            allow_outside=True,
        )
