"""Seeded inputs for reference runs.

A feed depends on the seed, the kind, and the name, dtype, shape and domain of its input alone: not on the
order of the inputs, the process or PYTHONHASHSEED. Models before and after a rewrite see the same numbers.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast, get_args

import ml_dtypes
import numpy as np

from graphopt.numerics.metrics import is_float

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]
Kind = Literal["normal", "edge", "nonfinite"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""normal: a normal distribution, of another scale for every tensor. edge: zeros of both signs, ones, large,
tiny and denormal values among normal ones; negative indices. nonfinite: as edge, with NaN and infinities."""

SMALL, REMEMBERED = 1 << 19, 128
"""Bytes of an array that is remembered, and how many are at a time."""

PERIOD, SERIES = (1 << 17) - 1, 4
"""Numbers after which the floats of a large array recur, and how many series of so many there are for them; each array
begins elsewhere in one. A prime, so that no two rows of an array are alike."""

_LARGE = 1e4
_RARE = 1 / 16
_MOST_DENORMALS, _DENORMALS_OF_A_SERIES = 64, 3
"""In a tensor, or what recurs in it; arithmetic with them takes a processor a hundred times as long as with others."""
_NONFINITE = (np.nan, np.inf, -np.inf)
_UNSIGNED_FLOAT = np.dtype(ml_dtypes.float8_e8m0fnu)
_WORDS = ("", "a", "b", "Hello", "world", "stop words", "äöü", "0", "-1.5")


@dataclass(frozen=True)
class Domain:
    """Which values an input may take. The base class leaves it to the dtype."""


class Real(Domain):
    """Any number. Integers stay below 128, as they may become sizes."""


class Positive(Domain):
    """Numbers away from zero: at least 1/16 for floats, 1 for integers."""


class NonZero(Domain):
    """Numbers of both signs away from zero."""


@dataclass(frozen=True)
class Between(Domain):
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float


@dataclass(frozen=True)
class Index(Domain):
    """Integers that address `upper` elements: 0 to upper - 1, and in edge feeds from -upper if `signed`."""

    upper: int
    signed: bool = False


@dataclass(frozen=True)
class Choice(Domain):
    """One of `values` for every element."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Fixed(Domain):
    """Exactly `values`, in row-major order; a single one fills the tensor."""

    values: tuple[Any, ...]


class InputSpec(NamedTuple):
    """An input to be fed: `shape` is static, `domain` says which values it takes."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    domain: Domain = Real()


class FeedPlan(NamedTuple):
    """Inputs to be drawn where they are used: `feeds(inputs, seed, kind)`, in a few bytes.

    overflow: places where the reference overflows on these inputs are not compared (see `compare`).
    """

    inputs: tuple[InputSpec, ...]
    seed: int
    kind: Kind = "normal"
    overflow: bool = False

    def draw(self) -> dict[str, Array]:
        """The arrays, by input name."""
        return feeds(self.inputs, self.seed, self.kind)


def feeds(inputs: Sequence[InputSpec], seed: int, kind: Kind = "normal") -> dict[str, Array]:
    """One array per input, of its dtype and shape, out of its domain. `seed` is any integer, at least 0."""
    return {spec.name: _draw(spec, seed, kind) for spec in inputs}


def _draw(spec: InputSpec, seed: int, kind: Kind) -> Array:
    """The array of an input; a small one is drawn once, as equal inputs are fed to many regions."""
    small = math.prod(spec.shape) * spec.dtype.itemsize <= SMALL
    return _remembered(spec, seed, kind) if small else _drawn(spec, seed, kind)


@lru_cache(maxsize=REMEMBERED)
def _remembered(spec: InputSpec, seed: int, kind: Kind) -> Array:
    array = _drawn(spec, seed, kind)
    array.flags.writeable = False
    return array


def _drawn(spec: InputSpec, seed: int, kind: Kind) -> Array:
    entropy = [seed, KINDS.index(kind), zlib.crc32(spec.name.encode("utf-8", "surrogatepass"))]
    rng = np.random.default_rng(np.random.SeedSequence(entropy))
    array = np.asarray(_values(rng, spec, kind))
    return array if array.dtype == spec.dtype else array.astype(spec.dtype)


def _values(rng: np.random.Generator, spec: InputSpec, kind: Kind) -> Array:
    """Values in the domain, of the dtype of the input or one that casts to it."""
    match spec.domain:
        case Fixed(values):
            return np.resize(_row(values, spec.dtype), spec.shape)
        case Choice(values):
            return np.asarray(_row(values, spec.dtype)[rng.integers(len(values), size=spec.shape)])
        case Index(upper, signed):
            return rng.integers(-upper if signed and kind != "normal" else 0, max(upper, 1), size=spec.shape)
        case Between(low, high) if not is_float(spec.dtype):
            return rng.integers(int(low), int(high) + 1, size=spec.shape)
        case Between(low, high):
            return rng.uniform(low, high, size=spec.shape)
    return _of_dtype(rng, spec, kind)


def _of_dtype(rng: np.random.Generator, spec: InputSpec, kind: Kind) -> Array:
    """Values that only the dtype, and perhaps their sign, restricts."""
    if spec.dtype == np.bool_:
        return rng.integers(2, size=spec.shape)
    if spec.dtype == np.object_:
        return np.asarray(_row(_WORDS, spec.dtype)[rng.integers(len(_WORDS), size=spec.shape)])
    if spec.dtype.kind == "c":
        real = np.dtype(f"f{spec.dtype.itemsize // 2}")
        parts = _floats(rng, spec._replace(dtype=real, shape=(*spec.shape, 2)), kind)
        return parts.view(spec.dtype)[..., 0]
    return _floats(rng, spec, kind) if is_float(spec.dtype) else _integers(rng, spec, kind)


def _integers(rng: np.random.Generator, spec: InputSpec, kind: Kind) -> Array:
    """All values of the types up to a byte; of the others those that fit a signed byte."""
    info = _info(spec.dtype)
    low, high = (max(int(info.min), -128), min(int(info.max), 255 if spec.dtype.itemsize == 1 else 127))
    values = rng.integers(low, high + 1, size=spec.shape)
    if kind != "normal":
        values = _mix(rng, values, (0, 1, low, high))
    if isinstance(spec.domain, Positive):
        return np.clip(np.abs(values), 1, high)
    return np.where(values == 0, 1, values) if isinstance(spec.domain, NonZero) else values


@lru_cache(maxsize=4 * SERIES)
def _series(dtype: np.dtype[Any], domain: Domain, kind: Kind, number: int) -> Array:
    """The numbers that recur in large arrays, of their dtype."""
    rng = np.random.default_rng([KINDS.index(kind), number])
    return _floats(rng, InputSpec("", dtype, (PERIOD,), domain), kind, _DENORMALS_OF_A_SERIES).astype(dtype)


def _floats(rng: np.random.Generator, spec: InputSpec, kind: Kind, denormals: int = _MOST_DENORMALS) -> Array:
    """Numbers in the range of the dtype, in that, float32 or float64; so many of them denormal at the most."""
    size = math.prod(spec.shape)
    if size > PERIOD:
        once, start = _series(spec.dtype, spec.domain, kind, int(rng.integers(SERIES))), int(rng.integers(PERIOD))
        many = np.empty((-(-(start + size) // PERIOD), PERIOD), spec.dtype)
        many[:] = once
        return many.reshape(-1)[start : start + size].reshape(spec.shape)
    info = _info(spec.dtype)
    wide = np.float64 if spec.dtype == np.float64 else np.float32
    values = rng.standard_normal(spec.shape, dtype=wide) * wide(2.0 ** int(rng.integers(-3, 4)))
    floor = 2.0**-4
    if kind != "normal":
        tiny = (float(info.smallest_subnormal), float(info.smallest_normal), float(info.eps) / 4)
        special = (0.0, -0.0, 1.0, -1.0, *tiny, -_LARGE, _LARGE, _LARGE / 3, 1e-3)
        values = _mix(rng, values, special, denormals)
        floor = 2.0**-10
    signless = isinstance(spec.domain, Positive) or spec.dtype == _UNSIGNED_FLOAT
    if signless or isinstance(spec.domain, NonZero):
        magnitude = np.maximum(np.abs(values), max(floor, float(info.smallest_subnormal)))
        values = magnitude if signless else np.copysign(magnitude, values)
    values = np.clip(values, -float(info.max), float(info.max))
    if kind == "nonfinite":
        values = np.where(rng.random(spec.shape) < _RARE, rng.choice(_NONFINITE, size=spec.shape), values)
    return np.asarray(values)


def _mix(rng: np.random.Generator, values: Array, special: tuple[float, ...], most_denormals: int = 0) -> Array:
    """`values`, half of them replaced by special ones, each of which occurs as often as any other.

    Only so many become denormal, and the others of these keep their value.
    """
    mixed = np.array(values).reshape(-1)
    count = (mixed.size + int(rng.integers(2))) // 2
    order = np.resize(rng.permutation(np.array(special, values.dtype)), count)
    places = rng.permutation(mixed.size)[:count]
    if values.dtype.kind == "f":
        denormal = (order != 0) & (np.abs(order) < np.finfo(values.dtype).smallest_normal)
        places, order = (np.delete(kept, np.flatnonzero(denormal)[most_denormals:]) for kept in (places, order))
    mixed[places] = order
    return mixed.reshape(values.shape)


def _row(values: tuple[Any, ...], dtype: np.dtype[Any]) -> Array:
    return np.array(values, dtype=object) if dtype == np.object_ else np.array(values).astype(dtype)


def _info(dtype: np.dtype[Any]) -> Any:
    known = cast("Any", ml_dtypes)
    return known.finfo(dtype) if is_float(dtype) else known.iinfo(dtype)
