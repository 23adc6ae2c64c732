"""Ranges of tensors, from one pass over calibration data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from graphopt.calibration.methods import METHODS
from graphopt.calibration.observed import Observed
from graphopt.calibration.probe import probe
from graphopt.calibration.serving import served
from graphopt.data.source import Data
from graphopt.errors import UsageError
from graphopt.ir.model import Model
from graphopt.ir.types import Tensor

SAMPLES = 512
"""Samples that are run, of data with more."""
DRAWS = 4096
"""Values of a tensor that each batch gives."""
HELD = 1 << 16
MOST_HELD = 1 << 24
"""Values that are held for one tensor, and for all of them together."""


class Range(NamedTuple):
    """The least and the largest value that are to be told apart."""

    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """What a calibration found.

    ranges: of every tensor that has one. skipped: why others have none, in words. samples: how many were run.
    """

    ranges: dict[Tensor, Range]
    skipped: dict[Tensor, str] = field(default_factory=dict)
    samples: int = 0


def ranges(
    model: Model,
    data: Data,
    tensors: Sequence[Tensor],
    method: str = "minmax",
    *,
    samples: int | None = SAMPLES,
    seed: int = 0,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Calibration:
    """The ranges of `tensors` of `model`, also of those in bodies, while it runs on `data`.

    method: one of `METHODS`. samples: no more than so many are run; None for all.
    Raises UsageError for data without samples, and ModelError if the model does not run on them.
    """
    seen, count = observe(model, data, tensors, samples=samples, seed=seed, threads=threads, progress=progress)
    found: dict[Tensor, Range] = {}
    skipped: dict[Tensor, str] = {}
    for tensor in dict.fromkeys(tensors):
        observed = seen.get(tensor)
        if observed is None or not observed.batches:
            skipped[tensor] = "no sample reaches it" if observed else "its values cannot be observed"
        elif not observed.finite:
            skipped[tensor] = "it holds values that are not finite"
        else:
            found[tensor] = Range(*map(float, METHODS[method](observed)))
    return Calibration(found, skipped, count)


def observe(
    model: Model,
    data: Data,
    tensors: Sequence[Tensor],
    *,
    samples: int | None = SAMPLES,
    seed: int = 0,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[dict[Tensor, Observed], int]:
    """What passes through tensors while the model runs on data, and how many samples were run. Raises as `ranges`."""
    rng = np.random.default_rng(seed)
    held = min(HELD, MOST_HELD // max(1, len(tensors)))
    count = 0
    with served(model, lambda proto: probe(model, tensors, proto, DRAWS), threads=threads) as (session, made):
        seen = {tensor: Observed(held, rng) for tensor in made.outputs}
        for batch in data.batches(limit=samples):
            positions = np.sort(np.floor(rng.random(DRAWS) * 2**40) / 2**40)
            values = session.run({**batch.feeds, made.positions: positions})
            for tensor, name in made.outputs.items():
                seen[tensor].add(values[name])
            count += batch.count
            progress(f"calibrating: {count} samples")
    if not count:
        raise UsageError(f"{data.name} holds no samples to calibrate with")
    return seen, count
