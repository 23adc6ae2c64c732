"""Ranges of tensors, from one pass over calibration data."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from graphopt.calibration.methods import AUTO, METHODS, Steps, edges
from graphopt.calibration.observed import Observed
from graphopt.calibration.observing import SAMPLES, observe
from graphopt.calibration.stored import content, load_ranges, save_ranges
from graphopt.data.source import Data
from graphopt.errors import UsageError
from graphopt.ir.model import Model
from graphopt.ir.types import Tensor
from graphopt.ir.words import listed


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
    method: str = AUTO,
    *,
    levels: int = 256,
    symmetric: bool = False,
    sums: Mapping[Tensor, Tensor] = MappingProxyType({}),
    samples: int | None = SAMPLES,
    seed: int = 0,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
    memo: MutableMapping[Hashable, Any] | None = None,
    file: Path | None = None,
) -> Calibration:
    """The ranges of `tensors` of `model`, also of those in bodies, while it runs on `data`.

    method: one of `METHODS`, or "auto". levels, symmetric: what the ranges will be cut into. sums: by tensor what is
    added to it, of its shape and among `tensors`, before all below zero is cut off, where errors do not matter.
    samples: no more than so many are run; None for all. memo: where what was observed is kept, by content, for other
    methods. file: where ranges are kept for other runs; those of the same content are taken from there.
    Raises UsageError for data without samples and for an unknown method, ModelError if the model does not run on them.
    """
    if method not in (AUTO, *METHODS):
        raise UsageError(f"there is no way to calibrate called {method!r}; there are: {listed([AUTO, *METHODS], 9)}")
    steps, tensors = Steps(levels, symmetric), list(dict.fromkeys(tensors))
    look = partial(observe, model, data, tensors, samples=samples, seed=seed, threads=threads, progress=progress)
    if memo is None and file is None:
        return _found(*look(), tensors, sums, method, steps)
    key = content(model, data, tensors, samples, seed)
    manner = f"{method}, {levels} levels{', symmetric' if symmetric else ''}"
    kept = load_ranges(file, key, manner) if file is not None else None
    if kept is not None:
        return _known(*kept, tensors)
    held = {} if memo is None else memo
    if ("observed", key) not in held:
        held["observed", key] = _by_name(*look())
    seen, count = held["observed", key]
    here = {tensor: seen[tensor.name] for tensor in tensors if tensor.name in seen}
    made = _found(here, count, tensors, sums, method, steps)
    if file is not None:
        save_ranges(file, key, manner, {tensor.name: edges for tensor, edges in made.ranges.items()}, made.samples)
    return made


def _by_name(seen: Mapping[Tensor, Observed], count: int) -> tuple[dict[str, Observed], int]:
    return {tensor.name: observed for tensor, observed in seen.items()}, count


def _known(ranges: Mapping[str, tuple[float, float]], count: int, tensors: Sequence[Tensor]) -> Calibration:
    """What a file held."""
    found = {tensor: Range(*ranges[tensor.name]) for tensor in tensors if tensor.name in ranges}
    skipped = {tensor: "it had no range when it was calibrated" for tensor in tensors if tensor not in found}
    return Calibration(found, skipped, count)


def _found(
    seen: Mapping[Tensor, Observed],
    count: int,
    tensors: Sequence[Tensor],
    sums: Mapping[Tensor, Tensor],
    method: str,
    steps: Steps,
) -> Calibration:
    """The ranges that follow from what was observed."""
    found: dict[Tensor, Range] = {}
    skipped: dict[Tensor, str] = {}
    for tensor in tensors:
        observed = seen.get(tensor)
        if observed is None or not observed.batches:
            skipped[tensor] = "no sample reaches it" if observed else "its values cannot be observed"
        elif not observed.finite:
            skipped[tensor] = "it holds values that are not finite"
        else:
            other = seen.get(sums[tensor]) if tensor in sums else None
            low, high = edges(observed if other is None else observed.added_to(other), method, steps)
            found[tensor] = Range(float(low), float(high))
    return Calibration(found, skipped, count)
