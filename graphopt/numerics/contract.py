"""What a rewrite promises about the numbers.

`Exact()`               the outputs are bit-identical. Any NaN equals any NaN; -0.0 and 0.0 differ.
`Close(k)`              |difference| <= k * eps(dtype) * scale for every element, where scale is the largest
                        |reference| among the finite elements of the tensor, at least the smallest normal.
                        -0.0 equals 0.0; NaN and infinities stand at the same places, with the same sign;
                        integers, booleans and strings are identical.
`Lossy(metric, floor)`  one number about the whole tensor keeps its floor: `sqnr` in dB, `cosine`, `top1` (the
                        share of rows whose largest element is the same), or, as a ceiling, `max_abs`. No NaN
                        or infinity where the reference has none.
`Judged()`              the numbers are other numbers, on purpose: names, shapes and dtypes stay, and there is no NaN
                        or infinity where the reference has none. Whether they are as good is for a metric on data.

A contract prints as what `parse_contract` reads: `exact`, `close(64)`, `lossy(sqnr >= 30)`, `judged`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from graphopt.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

METRICS = {"sqnr": ">=", "cosine": ">=", "top1": ">=", "max_abs": "<="}
"""The metrics of `Lossy`, and on which side of its floor a good value lies."""

SHOWN, EVEN = 10**6, 1e-3
"""Floors that are sums are multiples of one part in so many; those that are, but for rounding errors, stay."""

_CLOSE = re.compile(r"close\(\s*([^()\s]+)\s*\)")
_LOSSY = re.compile(r"lossy\(\s*(\w+)\s*(>=|<=)\s*([^()\s]+)\s*\)")


@dataclass(frozen=True)
class Contract:
    """Base of the four promises."""


class Exact(Contract):
    """Bit-identical outputs."""

    def __str__(self) -> str:
        return "exact"


@dataclass(frozen=True)
class Close(Contract):
    """Outputs within `k` rounding errors of the reference's scale. Raises UsageError for a bad `k`."""

    k: float

    def __post_init__(self) -> None:
        if not (0 <= self.k < math.inf):
            raise UsageError(f"close({self.k}) is no contract: k must be a finite number, at least 0.")

    def __str__(self) -> str:
        return f"close({_number(self.k)})"


@dataclass(frozen=True)
class Lossy(Contract):
    """Outputs good enough by `metric`, one of `METRICS`. Raises UsageError if there is no such contract."""

    metric: str
    floor: float

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise UsageError(f"There is no metric {self.metric!r}: choose from {', '.join(METRICS)}.")
        if not math.isfinite(self.floor):
            raise UsageError(f"The floor of {self.metric} must be a finite number, not {self.floor}.")

    def __str__(self) -> str:
        return f"lossy({self.metric} {METRICS[self.metric]} {_number(self.floor)})"


class Judged(Contract):
    """Other outputs, which are judged by how well they serve."""

    def __str__(self) -> str:
        return "judged"


LOOSE = Lossy | Judged
"""The contracts of rewrites that may cost quality: what a budget may leave out."""


@lru_cache(maxsize=1024)
def parse_contract(text: str) -> Contract:
    """The contract that prints as `text` (blanks do not matter). Raises UsageError for anything else."""
    text = text.strip()
    if text == "exact":
        return Exact()
    if text == "judged":
        return Judged()
    if match := _CLOSE.fullmatch(text):
        return Close(_parse_number(match[1], text))
    if (match := _LOSSY.fullmatch(text)) and METRICS.get(match[1], match[2]) == match[2]:
        return Lossy(match[1], _parse_number(match[3], text))
    raise UsageError(f"{text!r} is no contract: write exact, close(64), lossy(sqnr >= 30) or judged.")


def combine(contracts: Iterable[Contract]) -> Contract:
    """The contract of a pipeline whose steps keep `contracts`.

    Errors are small against the values, so to first order the error of a composition is the sum of the errors
    of its steps, each carried to the output by the rest of the network; with that amplification of the order
    of one, k adds up, and terms in the product of two errors (k * eps squared) vanish. `Exact` adds nothing.
    A `Lossy` step drowns rounding, so it alone is left; several with one metric add their losses: noise
    powers (sqnr), disagreements (top1), absolute errors (max_abs), angles (cosine). With a `Judged` step the whole is
    judged.

    Raises UsageError when steps are lossy in different metrics: no bound on the whole follows from them.
    """
    steps = list(contracts)
    if Judged() in steps:
        return Judged()
    lossy = [step for step in steps if isinstance(step, Lossy)]
    if not lossy:
        k = math.fsum(step.k for step in steps if isinstance(step, Close))
        return Close(k) if any(isinstance(step, Close) for step in steps) else Exact()
    metrics = sorted({step.metric for step in lossy})
    if len(metrics) > 1:
        raise UsageError(
            f"The steps are lossy in different metrics ({', '.join(metrics)}), which do not add up: "
            "state all of them in one metric."
        )
    if len(lossy) == 1:
        return lossy[0]
    return Lossy(metrics[0], _weaker(metrics[0], _sum_losses(metrics[0], [step.floor for step in lossy])))


def combined(contracts: Iterable[Contract]) -> Contract | None:
    """As `combine`, but None where no bound on the whole follows."""
    steps = list(contracts)
    metrics = {step.metric for step in steps if isinstance(step, Lossy)}
    return combine(steps) if len(metrics) <= 1 or Judged() in steps else None


def _sum_losses(metric: str, floors: list[float]) -> float:
    """The floor that still holds after steps with these floors."""
    if metric == "sqnr":
        worst = min(floors)
        return worst - 10 * math.log10(math.fsum(10 ** ((worst - floor) / 10) for floor in floors))
    if metric == "cosine":
        return math.cos(min(math.pi, math.fsum(math.acos(max(-1.0, min(1.0, floor))) for floor in floors)))
    if metric == "top1":
        return max(0.0, 1 - math.fsum(1 - floor for floor in floors))
    return math.fsum(floors)


def _weaker(metric: str, floor: float) -> float:
    """The floor with few digits, on the side of those that promise less."""
    scaled = floor * SHOWN
    return (math.floor(scaled + EVEN) if METRICS[metric] == ">=" else math.ceil(scaled - EVEN)) / SHOWN


def _number(value: float) -> str:
    """`value` as short as it can be read back."""
    return short if float(short := f"{value:g}") == value else repr(float(value))


def _parse_number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text!r} in {whole!r} is not a number.") from None
