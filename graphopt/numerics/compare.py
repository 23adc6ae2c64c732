"""Whether a candidate's outputs keep a contract against the reference's.

Values are what a run returns: arrays of any ONNX dtype, lists (sequences), dicts (maps) and None (an empty
optional).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from graphopt.numerics import metrics
from graphopt.numerics.contract import LOOSE, METRICS, Close, Contract, Exact, Judged, Lossy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from graphopt.numerics.metrics import Array

FEWEST_DIGITS, MOST_DIGITS = 3, 17
"""Digits of a float in a sentence; 17 tell any two float64 apart."""


@dataclass(frozen=True)
class Comparison:
    """The verdict on all outputs, told by the worst of them.

    ok: whether every output keeps the contract.
    error, bound: measured and allowed, in rounding errors (`Exact`, `Close`) or in the unit of the metric.
    k: the error in rounding errors (eps of the dtype times the largest reference element) under any contract;
        infinite where values differ that have no distance (integers, strings, NaN, shapes).
    compared: how many elements there were whose reference is finite. Nothing compared is no evidence.
    output: which output was the worst ("" without outputs); index: its worst element, if one stands out.
    reason: one sentence on what is wrong, "" when nothing is.
    """

    ok: bool
    error: float
    bound: float
    k: float = 0.0
    compared: int = 0
    output: str = ""
    index: tuple[int, ...] | None = None
    reason: str = ""


def compare(
    reference: Sequence[object],
    candidate: Sequence[object],
    contract: Contract,
    *,
    names: Sequence[str] = (),
    overflow: bool = False,
) -> Comparison:
    """Compare outputs one by one, in order.

    names: what to call the outputs; "output 0" and so on without.
    overflow: do not compare places where the reference itself is NaN or infinite. For feeds that make the
        original overflow where a better spelling of the same mathematics need not.
    """
    if len(reference) != len(candidate):
        reason = f"The number of outputs went from {len(reference)} to {len(candidate)}."
        return Comparison(ok=False, error=_worst(contract), bound=_bound(contract), k=math.inf, reason=reason)
    verdicts = [
        _judge(leaf, contract, overflow=overflow)
        for i, (old, new) in enumerate(zip(reference, candidate, strict=True))
        for leaf in _leaves(names[i] if i < len(names) else f"output {i}", old, new)
    ]
    if not verdicts:
        return Comparison(ok=True, error=_best(contract), bound=_bound(contract))
    worst = max(verdicts, key=lambda verdict: (not verdict.ok, _badness(verdict, contract)))
    return replace(worst, compared=sum(verdict.compared for verdict in verdicts))


# ---------------------------------------------------------------------------------------------- structure


@dataclass(frozen=True)
class _Leaf:
    """Two arrays, or two things that cannot be compared, and why."""

    name: str
    old: Array
    new: Array
    mismatch: str = ""

    def index(self, at: int) -> tuple[int, ...]:
        """Coordinates of the element at flat position `at`."""
        position = at // 2 if self.old.dtype.kind == "c" else at
        return tuple(int(i) for i in np.unravel_index(position, self.old.shape))

    def became(self, at: int) -> str:
        """What happened to the element at flat position `at`."""
        index = self.index(at)
        old, new = apart(self.old[index], self.new[index])
        return f"{self.name} at {list(index)}: {old} became {new}."


def apart(old: object, new: object) -> tuple[str, str]:
    """Two values as texts; floats with as few digits as show that they differ, and one more."""
    if isinstance(old, float | np.floating) and isinstance(new, float | np.floating):
        for digits in range(FEWEST_DIGITS, MOST_DIGITS):
            if f"{old:.{digits}g}" != f"{new:.{digits}g}":
                return f"{old:.{digits + 1}g}", f"{new:.{digits + 1}g}"
    return str(old), str(new)


def _leaves(name: str, old: object, new: object) -> Iterator[_Leaf]:
    """The arrays inside two outputs, pairwise."""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _leaves(f"{name}, element {i}", one, other)
    elif isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        yield _pair(name, *_map_values(list(old.values()), [new[key] for key in old]))
    elif isinstance(old, np.ndarray | np.generic) and isinstance(new, np.ndarray | np.generic):
        yield _pair(name, np.asarray(old), np.asarray(new))
    elif old is not None or new is not None:
        yield _Leaf(name, np.empty(0), np.empty(0), f"{_describe(old)} became {_describe(new)}")


def _pair(name: str, old: Array, new: Array) -> _Leaf:
    mismatch = ""
    if old.dtype != new.dtype:
        mismatch = f"dtype {old.dtype} became {new.dtype}"
    elif old.shape != new.shape:
        mismatch = f"shape {list(old.shape)} became {list(new.shape)}"
    return _Leaf(name, old, new, mismatch)


def _map_values(old: list[object], new: list[object]) -> tuple[Array, Array]:
    """The values of two maps as arrays; Python floats that are float32 numbers become float32 again."""
    arrays = np.asarray(old), np.asarray(new)
    with np.errstate(over="ignore"):
        narrow = [a.astype(np.float32) for a in arrays if a.dtype == np.float64]
    if len(narrow) == len(arrays) and all(map(_same, arrays, narrow)):
        return narrow[0], narrow[1]
    return arrays


def _same(wide: Array, narrow: Array) -> bool:
    return np.array_equal(wide, narrow, equal_nan=True)


def _describe(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, np.ndarray):
        return "a tensor"
    if isinstance(value, list):
        return f"a sequence of {len(value)}"
    return f"a map with {len(value)} keys" if isinstance(value, dict) else f"a {type(value).__name__}"


# ----------------------------------------------------------------------------------------------- verdicts


def _judge(leaf: _Leaf, contract: Contract, *, overflow: bool) -> Comparison:
    """The verdict on one pair of arrays."""
    if leaf.mismatch:
        return _wrong(leaf, contract, reason=f"{leaf.name}: {leaf.mismatch}.")
    old, new = metrics.flat(leaf.old), metrics.flat(leaf.new)
    differing = metrics.first_difference(old, new, overflow=overflow)
    if differing is None:
        return _kept(leaf, contract)
    if metrics.is_float(old.dtype):
        return _judge_floats(leaf, contract, differing, overflow=overflow)
    if isinstance(contract, Judged):
        return _kept(leaf, contract, math.inf)
    is_text = leaf.old.dtype.kind in "OUS"
    if isinstance(contract, Lossy) and (contract.metric == "top1" or not is_text):
        return _judge_metric(leaf, contract, math.inf)
    return _wrong(leaf, contract, at=differing)


def _judge_floats(leaf: _Leaf, contract: Contract, differing: int, *, overflow: bool) -> Comparison:
    """The verdict on arrays of floats of which some bit differs."""
    old, new = metrics.flat(leaf.old), metrics.flat(leaf.new)
    distance = metrics.distance(old, new, overflow=overflow or isinstance(contract, LOOSE))
    if distance.misplaced is not None:
        return _wrong(leaf, contract, at=distance.misplaced)
    if isinstance(contract, Lossy):
        return _judge_metric(leaf, contract, distance.k)
    if isinstance(contract, Exact):
        return _wrong(leaf, contract, distance.k, differing)
    if isinstance(contract, Judged):
        return _kept(leaf, contract, distance.k, distance.worst)
    if distance.k > _bound(contract):
        excess = f"That is {distance.k:.4g} rounding errors; {contract} was promised."
        return _wrong(leaf, contract, distance.k, distance.worst, f"{leaf.became(distance.worst)} {excess}")
    return _kept(leaf, contract, distance.k, distance.worst)


def _judge_metric(leaf: _Leaf, contract: Lossy, k: float) -> Comparison:
    """The verdict of a metric on two arrays that differ."""
    value = metrics.measure(leaf.old, leaf.new, contract.metric)
    ok = value >= contract.floor if METRICS[contract.metric] == ">=" else value <= contract.floor
    reason = "" if ok else f"{leaf.name}: {contract.metric} is {value:.4g}; {contract} was promised."
    compared = metrics.finite(metrics.flat(leaf.old))
    return Comparison(ok, value, contract.floor, k, compared, leaf.name, None, reason)


def _kept(leaf: _Leaf, contract: Contract, k: float = 0.0, at: int | None = None) -> Comparison:
    return Comparison(
        ok=True,
        error=_best(contract) if isinstance(contract, Lossy) else k,
        bound=_bound(contract),
        k=k,
        compared=metrics.finite(metrics.flat(leaf.old)),
        output=leaf.name,
        index=None if at is None or k == 0 else leaf.index(at),
    )


def _wrong(leaf: _Leaf, contract: Contract, k: float = math.inf, at: int | None = None, reason: str = "") -> Comparison:
    return Comparison(
        ok=False,
        error=_worst(contract) if isinstance(contract, Lossy) else k,
        bound=_bound(contract),
        k=k,
        compared=metrics.finite(metrics.flat(leaf.old)),
        output=leaf.name,
        index=None if at is None else leaf.index(at),
        reason=reason or leaf.became(at or 0),
    )


def _bound(contract: Contract) -> float:
    if isinstance(contract, Lossy):
        return contract.floor
    return contract.k if isinstance(contract, Close) else 0.0


def _higher_is_better(contract: Contract) -> bool:
    return isinstance(contract, Lossy) and METRICS[contract.metric] == ">="


def _best(contract: Contract) -> float:
    if not _higher_is_better(contract):
        return 0.0
    return math.inf if isinstance(contract, Lossy) and contract.metric == "sqnr" else 1.0


def _worst(contract: Contract) -> float:
    return -math.inf if _higher_is_better(contract) else math.inf


def _badness(verdict: Comparison, contract: Contract) -> float:
    return -verdict.error if _higher_is_better(contract) else verdict.error
