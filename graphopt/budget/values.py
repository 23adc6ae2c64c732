"""Amounts with units, out of texts and into them: `1%`, `0.5 points`, `5ms`, `8MB`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from graphopt.errors import UsageError

SECONDS: Mapping[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6}
BYTES: Mapping[str, float] = {
    "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}  # fmt: skip
PERCENT, POINTS, SCORE = "%", "points", ""
DROPS: Mapping[str, str] = {"%": PERCENT, "points": POINTS, "point": POINTS, "": SCORE}
_AMOUNT = re.compile(r"\s*([-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s.]*)\s*")


@dataclass(frozen=True)
class Drop:
    """How much of a score may be lost.

    unit: "points" are hundredths of scores that are shares, such as accuracies. "%" is the same for those, and for
    other scores a share of what the original scores. "" is the score's own scale.
    """

    amount: float
    unit: str = SCORE

    def __str__(self) -> str:
        return f"{self.amount:g}{' ' if self.unit == POINTS else ''}{self.unit}"

    def of(self, score: float, *, share: bool) -> float:
        """What may be lost of `score`, on its own scale. share: whether it lies between 0 and 1 by its nature.

        Raises UsageError for points of what has none, for more than there is, and for a share of nothing.
        """
        if self.unit == POINTS and not share:
            raise UsageError(f"max-drop: {self} are hundredths of a share, which this metric is not; write a number "
                             "on its own scale, or a share of the original's score such as 1%")  # fmt: skip
        hundredths = share and self.unit in (PERCENT, POINTS)
        allowed = self.amount / 100 if hundredths else self.amount
        if self.unit == PERCENT and not share:
            if score == 0:
                raise UsageError(f"max-drop: {self} of 0, which the original scores, is nothing; write a number on "
                                 "the metric's own scale")  # fmt: skip
            allowed = abs(score) * self.amount / 100
        if share and allowed > 1:
            raise UsageError(f"max-drop: no score between 0 and 1 can drop by {self}; write 1% for one point")
        return allowed


def drop(given: str | float | Drop) -> Drop:
    """`1%`, `0.5 points`, or a number on the metric's own scale. Raises UsageError for anything else."""
    if isinstance(given, Drop):
        made = given
    elif isinstance(given, str):
        amount, unit = _split("max-drop", given, "1%, 0.5 points, or a number on the metric's own scale")
        if unit not in DROPS:
            raise _unknown("max-drop", unit, ("%", "points"))
        made = Drop(amount, DROPS[unit])
    else:
        made = Drop(float(given))
    _sound("max-drop", made.amount, str(made))
    return made


def seconds(given: str | float) -> float:
    """`5ms`, `800us`, `0.2s`; a bare number is seconds only if it is no text. Raises UsageError for anything else."""
    return _measured("max-latency", given, SECONDS, "5ms")


def size(given: str | float, name: str = "max-size") -> int:
    """`8MB`, `300kB`, `2GiB`; a bare number is bytes only if it is no text. Raises UsageError for anything else."""
    count = math.floor(_measured(name, given, BYTES, "8MB"))
    if count < 1:
        raise UsageError(f"{name} must be at least one byte, found {given}")
    return count


def show_seconds(amount: float) -> str:
    """A time as people say it: `4.87 ms`."""
    for unit in ("s", "ms"):
        if abs(amount) >= SECONDS[unit]:
            return f"{amount / SECONDS[unit]:.3g} {unit}"
    return f"{amount / SECONDS['µs']:.3g} µs"


def _measured(name: str, given: str | float, units: Mapping[str, float], example: str) -> float:
    if not isinstance(given, str):
        _sound(name, given, str(given), positive=True)
        return float(given)
    amount, unit = _split(name, given, f"a number and a unit, such as {example}")
    if not unit:
        raise UsageError(f"{name}: {given.strip()!r} has no unit: write {example}, for instance")
    if unit not in units:
        raise _unknown(name, unit, units)
    _sound(name, amount, given.strip(), positive=True)
    return amount * units[unit]


def _split(name: str, given: str, expected: str) -> tuple[float, str]:
    found = _AMOUNT.fullmatch(given)
    if found is None:
        raise UsageError(f"{name}: {given!r} is no amount; write {expected}")
    return float(found[1]), found[2]


def _unknown(name: str, unit: str, units: Mapping[str, float] | tuple[str, ...]) -> UsageError:
    return UsageError(f"{name}: there is no unit {unit!r}; there are: {', '.join(units)}")


def _sound(name: str, amount: float, given: str, *, positive: bool = False) -> None:
    if not math.isfinite(amount) or amount < 0 or (positive and amount == 0):
        raise UsageError(f"{name} must be {'above' if positive else 'at least'} 0 and finite, found {given}")
