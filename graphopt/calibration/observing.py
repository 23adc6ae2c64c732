"""One pass of a model over data, in which tensors are observed.

Every batch is run once. Of small tensors the edges are taken in every batch; a large one is only read in some, evenly
spread: to read everything again after each layer would take as long as the layers do. With as many as `LOOKED` samples
the next one goes beyond the edges with a probability of one percent, whatever the tensor.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from graphopt.calibration.observed import Observed
from graphopt.calibration.probe import Probe, probe
from graphopt.calibration.serving import served
from graphopt.data.source import Data
from graphopt.errors import UsageError
from graphopt.ir.emit import constants
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Tensor

if TYPE_CHECKING:
    from graphopt.data.batch import Batch
    from graphopt.measure.provider import Session

SAMPLES = 512
"""Samples that are run, of data with more."""
LOOKED = 192
"""Samples of which everything is looked at, or some more, as whole batches are."""
LARGE = 1 << 10
"""Values a sample beyond which a tensor is only read where everything is."""
LEAST_DRAWS, MOST_DRAWS = 64, 1 << 12
"""Values that a batch gives of a tensor."""
HELD, MOST_HELD = 1 << 14, 1 << 24
"""Values that are held for one tensor, and for all of them together. What is rarer than one in as many as are held is
not among them: how often such values come is guessed, from the last one held and the edges of everything."""
TWICE = 1 << 28
"""Bytes of weights up to which they are held twice, for two ways to look."""
_GRAIN = 2**40
"""Positions are multiples of 1 / _GRAIN, so that rounding never makes one of them the end."""

Progress = Callable[[str], None]


def observe(
    model: Model,
    data: Data,
    tensors: Sequence[Tensor],
    *,
    samples: int | None = SAMPLES,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress = lambda _: None,
) -> tuple[dict[Tensor, Observed], int]:
    """What passes through tensors while the model runs on data, and how many samples were run.

    Memory holds one batch, and as many values of each tensor as are drawn, whatever the number of samples.
    Raises UsageError for data without samples, ModelError if the model does not run on them.
    """
    batches = iter(data.batches(limit=samples))
    first = next(batches, None)
    if first is None:
        raise UsageError(f"{data.name} holds no samples to calibrate with")
    total, count = _total(data, samples), 0
    with contextlib.ExitStack() as stack:
        watch = _Watch(model, tensors, np.random.default_rng(seed), threads, stack, max(1, first.rows), total)
        for index, batch in enumerate(itertools.chain([first], batches)):
            watch.run(batch, whole=index * watch.looks % watch.batches < watch.looks)
            count += batch.count
            progress(f"calibrating: {count} of {total} samples")
    return watch.seen, count


def _total(data: Data, samples: int | None) -> int:
    """How many samples there will be, or a guess."""
    known = SAMPLES if data.count is None else data.count
    return known if samples is None else min(known, samples)


class _Watch:
    """A model in up to two sessions: one that shows everything, one that shows the edges of small tensors.

    rows: of a batch. total: samples to come. batches: with them. looks: of how many batches everything is looked at.
    """

    def __init__(
        self,
        model: Model,
        tensors: Sequence[Tensor],
        rng: np.random.Generator,
        threads: int | None,
        stack: contextlib.ExitStack,
        rows: int,
        total: int,
    ) -> None:
        self.model, self.rng, self.threads, self.stack, self.rows = model, rng, threads, stack, rows
        twice = sum(constant.nbytes for constant in constants(model)) <= TWICE
        self.batches = max(1, math.ceil(total / rows))
        self.looks = min(self.batches, math.ceil(LOOKED / rows)) if twice else self.batches
        self._all = self._serve(tensors, min(MOST_DRAWS, max(LEAST_DRAWS, HELD // self.looks)))
        self._small: tuple[Session, Probe] | None = None
        held = min(HELD, MOST_HELD // max(1, len(tensors)))
        places = int(rng.integers(1 << 32))
        self.seen = {tensor: Observed(held, np.random.default_rng(places)) for tensor in self._all[1].outputs}

    def run(self, batch: Batch, *, whole: bool) -> None:
        """Run a batch, and take in what it shows. Raises ModelError."""
        session, made = self._all
        if not whole:
            session, made = self._small = self._small or self._serve(self._light(), 0)
        feeds: dict[str, Array] = dict(batch.feeds)
        if made.draws:
            feeds[made.positions] = np.sort(np.floor(self.rng.random(made.draws) * _GRAIN) / _GRAIN)
        values = session.run(feeds)
        for tensor, name in made.outputs.items():
            self.seen[tensor].add(values[name])

    def _light(self) -> list[Tensor]:
        return [tensor for tensor, seen in self.seen.items() if seen.most <= LARGE * self.rows]

    def _serve(self, tensors: Sequence[Tensor], draws: int) -> tuple[Session, Probe]:
        change = partial(probe, self.model, tensors, draws=draws)
        return self.stack.enter_context(served(self.model, change, self.threads))
