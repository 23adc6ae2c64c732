"""Pieces of mathematics that several patterns contain, in all their spellings. Each call makes new pattern nodes."""

from __future__ import annotations

from collections.abc import Callable

from graphopt.rewrite.pattern import Either, Pattern, op

TOLERANCE = 1e-6
"""How far, relatively, an attribute may be from the number that it stands for: a few units of float32's precision."""
LARGEST = 3.4028234e38
"""Nearly the largest float32: the upper limit of Clip, in old opsets, where a file gives none."""


def half_product(x: Pattern, y: Pattern) -> Either:
    """Half of x y, whatever is halved first."""
    return x * y * 0.5 | x * y / 2.0 | (x * 0.5 | x / 2.0) * y | x * (y * 0.5 | y / 2.0)


def over(x: Pattern, divisor: float) -> Either:
    """The quotient of x and a number, or the product with its reciprocal."""
    return x / divisor | x * (1 / divisor)


def negative(x: Pattern) -> Either:
    """-x."""
    return -x | x * -1.0


def rectified(x: Pattern) -> Either:
    """The larger of x and 0."""
    return op.Relu(x) | op.Max(x, 0.0) | op.Clip(x, 0.0) | op.Clip(x, min=0.0, max=limitless)


def clipped(x: Pattern, low: float, high: float) -> Either:
    """x, but at least `low` and at most `high`."""
    limits = op.Clip(x, low, high) | op.Clip(x, min=about(low), max=about(high))
    both = limits | op.Min(op.Max(x, low), high) | op.Max(op.Min(x, high), low)
    return both if low else both | op.Min(op.Relu(x), high) | op.Relu(op.Min(x, high))


def about(number: float) -> Callable[[object], bool]:
    """Whether an attribute is this number."""
    return lambda value: isinstance(value, float) and abs(value - number) <= TOLERANCE * abs(number)


def limitless(value: object) -> bool:
    """Whether an attribute, an upper limit, limits nothing."""
    return value is None or (isinstance(value, float) and value >= LARGEST)
