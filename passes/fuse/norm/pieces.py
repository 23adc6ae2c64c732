"""Pieces of mathematics that several patterns contain, in all their spellings.

Each call makes new pattern nodes, so that an exporter may have written a piece once or several times.
"""

from __future__ import annotations

from collections.abc import Callable

from graphopt.rewrite import Const, Opt, Value, op
from graphopt.rewrite import pattern as p

Make = Callable[[], p.Pattern]


def mean(x: p.Pattern) -> p.Node:
    """The mean of x over some axes."""
    return op.ReduceMean(x, Opt(Value("axes")))


def total(x: p.Pattern) -> p.Node:
    """The sum of x over some axes."""
    return op.ReduceSum(x, Opt(Value("axes")))


def largest(x: p.Pattern) -> p.Node:
    """The maximum of x over some axes."""
    return op.ReduceMax(x, Opt(Value("axes")))


def square(x: Make) -> p.Either:
    """The square of x."""
    return x() ** 2.0 | x() * x()


def widened(x: p.Pattern) -> p.Node:
    """A cast of x, which may be used elsewhere too."""
    return op.Cast(x).shared()


def root(x: p.Pattern) -> p.Either:
    """The square root of x."""
    return op.Sqrt(x) | x**0.5


def inverse_root(x: p.Pattern) -> p.Either:
    """1 / sqrt(x)."""
    return op.Reciprocal(root(x)) | 1.0 / root(x) | x**-0.5


def standardised(x: Make, eps: Const) -> p.Either:
    """The quotient of x and sqrt(mean(x^2) + eps)."""
    power = mean(square(x)) + eps
    return x() / root(power) | x() * inverse_root(power)


def scaled(x: Make, eps: Const, gamma: Value) -> p.Either:
    """The same times gamma: gamma x / sqrt(mean(x^2) + eps), whatever is multiplied first."""
    power = mean(square(x)) + eps
    divided = x() * gamma / root(power) | x() * gamma * inverse_root(power)
    return standardised(x, eps) * gamma | x() * (inverse_root(power) * gamma) | divided
