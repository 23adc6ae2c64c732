"""The order of symbolic scalars: bounds, comparisons that hold for all sizes, and the functions that need them.

Named dimensions are at least 0. A comparison that depends on them has no answer: None.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import floor as floor_number
from math import gcd, lcm
from typing import TYPE_CHECKING

from graphopt.analysis.symbolic import (
    Atom,
    Expression,
    Monomial,
    Number,
    Scalar,
    divide,
    floor,
    floordiv,
    is_integral,
    is_whole,
    name_of,
    number,
    opaque,
    symbol,
    symbols,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Bounds = tuple[Number | None, Number | None]


def maximum(*values: Scalar) -> Scalar:
    """The greatest of `values`."""
    return _extreme("max", values, at_least)


def minimum(*values: Scalar) -> Scalar:
    """The least of `values`."""
    return _extreme("min", values, lambda a, b: at_least(b, a))


def _extreme(kind: str, values: tuple[Scalar, ...], beats: Callable[[Scalar, Scalar], bool]) -> Scalar:
    flat: list[Scalar] = []
    for value in values:
        flat += members(kind, value)
    kept: list[Scalar] = []
    for value in flat:
        if not any(beats(other, value) for other in kept):
            kept = [other for other in kept if not beats(value, other)]
            kept.append(value)
    return kept[0] if len(kept) == 1 else opaque(kind, *sorted(kept, key=str))


def members(kind: str, value: Scalar) -> tuple[Scalar, ...]:
    """The arguments of `value` if it is the maximum (`kind` "max") or minimum of some; else itself."""
    if isinstance(value, Expression) and len(value.terms) == 1 and value.terms[0][1] == 1:
        monomial = value.terms[0][0]
        if len(monomial) == 1 and monomial[0][1] == 1 and monomial[0][0].kind == kind:
            return monomial[0][0].arguments
    return (value,)


def cut_off(length: Scalar, whole: Scalar) -> bool:
    """Whether a length is the whole in every run that broadcasts the one to the other: it is the whole, or the least of
    the whole and of numbers above 1, such as the rows of a table. Where a table has fewer rows, the run fails."""
    parts = members("min", length)
    return length == whole or (
        whole in parts and all(part == whole or (isinstance(part, int) and part > 1) for part in parts)
    )


def bounds(value: Scalar) -> Bounds:
    """Numbers between which `value` surely lies, when every named dimension is at least 0; None: no bound."""
    if not isinstance(value, Expression):
        return value, value
    low: Number | None = 0
    high: Number | None = 0
    for monomial, coefficient in value.terms:
        ends = _monomial_bounds(monomial)
        below, above = ends if coefficient > 0 else ends[::-1]
        low = None if low is None or below is None else low + coefficient * below
        high = None if high is None or above is None else high + coefficient * above
    return low, high


@lru_cache(maxsize=4096)
def _monomial_bounds(monomial: Monomial) -> Bounds:
    low: Number = 1
    high: Number | None = 1
    for atom, power in monomial:
        below, above = _atom_bounds(atom)
        if below is None or below < 0:
            if len(monomial) == 1 and power == 1:
                return below, above
            return (0 if len(monomial) == 1 and power % 2 == 0 else None), None
        low *= below**power
        high = None if high is None or above is None else high * above**power
    return low, high


def _atom_bounds(atom: Atom) -> Bounds:
    if atom.kind == "symbol":
        return 0, None
    ends = [bounds(argument) for argument in atom.arguments]
    lows = [low for low, _ in ends if low is not None]
    highs = [high for _, high in ends if high is not None]
    if atom.kind == "max":
        return max(lows, default=None), max(highs) if len(highs) == len(ends) else None
    if atom.kind == "min":
        return min(lows) if len(lows) == len(ends) else None, min(highs, default=None)
    if atom.kind == "div":
        return (0 if len(lows) == len(ends) and min(lows) >= 0 else None), None
    return (floor_number(lows[0]) if lows else None), _above(atom.kind, highs)


def _above(kind: str, highs: list[Number]) -> Number | None:
    if not highs:
        return None
    return floor_number(highs[0]) if kind == "floor" else -floor_number(-highs[0])


def at_least(a: Scalar, b: Scalar) -> bool:
    """Whether a >= b surely holds."""
    low, _ = bounds(a - b)
    return low is not None and low >= 0


def equal(a: Scalar, b: Scalar) -> bool | None:
    """Whether a == b: True, False, or None where it depends on the named dimensions."""
    difference = a - b
    if not isinstance(difference, Expression):
        return difference == 0
    low, high = bounds(difference)
    if (low is not None and low > 0) or (high is not None and high < 0) or _never_zero(difference):
        return False
    return None


def _never_zero(value: Expression) -> bool:
    """2*h + 1 is odd: the constant is no multiple of what divides all other terms."""
    if not all(is_whole(monomial) for monomial, _ in value.terms):
        return False
    constant = _constant(value)
    common = lcm(*(c.denominator for _, c in value.terms))
    step = gcd(*(int(c * common) for monomial, c in value.terms if monomial))
    return (constant * common) % step != 0


def less(a: Scalar, b: Scalar) -> bool | None:
    """Whether a < b: True, False, or None where it depends on the named dimensions."""
    low, high = bounds(a - b)
    if high is not None and high < 0:
        return True
    return False if low is not None and low >= 0 else None


class Facts:
    """Scalars that are at least 0 in every run, beyond what follows from their form: sizes of tensors.

    `h - 2` may be negative for all that its form says; if it is the size of a tensor, it is not.
    """

    def __init__(self) -> None:
        self._least: dict[Scalar, Number] = {}

    def __bool__(self) -> bool:
        return bool(self._least)

    def add(self, value: Scalar) -> None:
        """Note that `value` is at least 0."""
        if isinstance(value, Expression) and not at_least(value, 0):
            offset = _constant(value)
            varying = value - offset
            self._least[varying] = max(-offset, self._least.get(varying, -offset))

    def at_least(self, a: Scalar, b: Scalar) -> bool:
        """Whether a >= b surely holds."""
        difference = a - b
        if at_least(difference, 0):
            return True
        if not self._least or not isinstance(difference, Expression):
            return False
        offset = _constant(difference)
        least = self._least.get(difference - offset)
        return least is not None and least + offset >= 0

    def equal(self, a: Scalar, b: Scalar) -> bool | None:
        """Whether a == b, for integers: True, False, or None where it depends on the named dimensions."""
        known = equal(a, b)
        if known is None and (self.at_least(a, b + 1) or self.at_least(b, a + 1)):
            return False
        return known

    def less(self, a: Scalar, b: Scalar) -> bool | None:
        """Whether a < b, for integers: True, False, or None where it depends on the named dimensions."""
        if self.at_least(b, a + 1):
            return True
        return False if self.at_least(a, b) else less(a, b)


def _constant(value: Expression) -> Number:
    return sum(c for monomial, c in value.terms if not monomial)


def truncdiv(a: Scalar, b: Scalar) -> Scalar | None:
    """A / b rounded toward zero, as integer division of tensors does; None where signs are unknown."""
    low, high = bounds(a)
    if low is not None and low >= 0 and at_least(b, 0):
        return floordiv(a, b)
    if isinstance(b, Expression) or b == 0:
        return None
    if high is not None and high <= 0:
        return -floor(-a * Fraction(1, b)) if b > 0 else floor(a * Fraction(1, b))
    exact = divide(a, b)
    if exact is None:
        return None
    return exact if is_integral(exact) else trunc(exact)


def trunc(value: Scalar) -> Scalar:
    """`value` rounded toward zero."""
    if not isinstance(value, Expression):
        return int(value)
    if is_integral(value):
        return value
    low, high = bounds(value)
    if low is not None and low >= 0:
        return floor(value)
    if high is not None and high <= 0:
        return -floor(-value)
    return opaque("trunc", value)


# --- numbers for names -----------------------------------------------------------------------------------------


def substitute(value: Scalar, binding: Mapping[str, Scalar]) -> Scalar:
    """`value` with the named dimensions of `binding` replaced."""
    if not isinstance(value, Expression):
        return value
    total: Scalar = 0
    for monomial, coefficient in value.terms:
        term: Scalar = coefficient
        for atom, power in monomial:
            base = _substitute_atom(atom, binding)
            for _ in range(power):
                term = term * base
        total = total + term
    return total if isinstance(total, Expression) else number(total)


def _substitute_atom(atom: Atom, binding: Mapping[str, Scalar]) -> Scalar:
    if atom.kind == "symbol":
        name = name_of(atom)
        return binding[name] if name in binding else symbol(name)
    return apply(atom.kind, [substitute(argument, binding) for argument in atom.arguments])


def apply(kind: str, arguments: list[Scalar]) -> Scalar:
    """The function of an atom (floor, trunc, max, min, div) on other arguments. Raises ValueError for others."""
    if kind == "floor":
        return floor(*arguments)
    if kind == "trunc":
        return trunc(*arguments)
    if kind == "max":
        return maximum(*arguments)
    if kind == "min":
        return minimum(*arguments)
    quotient = floordiv(*arguments) if kind == "div" else None
    if quotient is None:
        raise ValueError(f"{kind}({', '.join(map(str, arguments))}) has no value")
    return quotient


def evaluate(value: Scalar, binding: Mapping[str, int]) -> Number:
    """The number that `value` is when named dimensions have the numbers of `binding`.

    Raises ValueError if a name is missing or a division by 0 occurs.
    """
    result = substitute(value, binding)
    missing = ", ".join(sorted(symbols(result)))
    if isinstance(result, Expression) or missing:
        raise ValueError(f"no number is given for {missing} in {value}")
    return result
