"""Exact arithmetic on tensor dimensions: polynomials over named dimensions, in one canonical form.

A `Scalar` is an `int`, a `Fraction`, or an `Expression`; an expression that turns out constant is returned
as a number, so `==` decides equality of polynomials. What is no polynomial (floor, max, ...) is an opaque
atom over canonical arguments. Named dimensions are integers of at least 0.

Coefficients may be fractions: the `-1` of `Reshape(h -> (-1, 2))` is `h/2`, because a valid run divides exactly.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import floor as floor_number
from math import lcm
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Number = int | Fraction


class Atom(NamedTuple):
    """What a polynomial is made of: a named dimension (`kind` is "symbol"), or an opaque function of scalars."""

    text: str
    kind: str
    arguments: tuple[Scalar, ...]

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Atom) and self.text == other.text

    def __ne__(self, other: object) -> bool:
        return not self == other


Monomial = tuple[tuple[Atom, int], ...]


class Expression:
    """A polynomial that is not constant. Immutable; equal polynomials are equal and hash alike."""

    __slots__ = ("_hash", "_text", "terms")

    terms: tuple[tuple[Monomial, Number], ...]

    def __init__(self, terms: tuple[tuple[Monomial, Number], ...]) -> None:
        self.terms = terms
        self._hash = hash(terms)
        self._text = ""

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Expression) and self._hash == other._hash and self.terms == other.terms

    def __add__(self, other: Scalar) -> Scalar:
        total = dict(self.terms)
        for monomial, coefficient in terms_of(other):
            total[monomial] = total.get(monomial, 0) + coefficient
        return _scalar(total)

    def __mul__(self, other: Scalar) -> Scalar:
        if isinstance(other, int) and other == 1:
            return self
        total: dict[Monomial, Number] = {}
        for left, p in self.terms:
            for right, q in terms_of(other):
                monomial = _product(left, right)
                total[monomial] = total.get(monomial, 0) + p * q
        return _scalar(total)

    def __neg__(self) -> Scalar:
        return self * -1

    def __sub__(self, other: Scalar) -> Scalar:
        return self + -other

    def __rsub__(self, other: Number) -> Scalar:
        return -self + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __str__(self) -> str:
        if not self._text:
            self._text = _text(self.terms)
        return self._text

    def __repr__(self) -> str:
        return f"Expression({str(self)!r})"


Scalar = int | Fraction | Expression


def symbol(name: str) -> Expression:
    """The named dimension `name`; any text is a name, and unusual ones are quoted in expressions."""
    text = name if _PLAIN.fullmatch(name) else "`" + name.replace("`", "``") + "`"
    return Expression((((((Atom(text, "symbol", ()), 1),), 1)),))


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def opaque(kind: str, *arguments: Scalar) -> Expression:
    """A function of scalars about which nothing more is known here."""
    text = f"{kind}({', '.join(map(str, arguments))})"
    return Expression((((((Atom(text, kind, arguments), 1),), 1)),))


def terms_of(value: Scalar) -> Iterable[tuple[Monomial, Number]]:
    """Monomials and coefficients; a number is a multiple of the empty monomial."""
    return value.terms if isinstance(value, Expression) else (((), value),)


def _order(term: tuple[Monomial, Number]) -> tuple[int, list[tuple[str, int]]]:
    monomial = term[0]
    return -sum(power for _, power in monomial), [(atom.text, -power) for atom, power in monomial]


def _scalar(terms: Mapping[Monomial, Number]) -> Scalar:
    kept = [(monomial, number(c)) for monomial, c in terms.items() if c]
    if not kept:
        return 0
    if len(kept) == 1 and not kept[0][0]:
        return kept[0][1]
    kept.sort(key=_order)
    return Expression(tuple(kept))


def number(value: Number) -> Number:
    """An integral fraction as the int it is."""
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


@lru_cache(maxsize=4096)
def _product(left: Monomial, right: Monomial) -> Monomial:
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: item[0].text))


def _text(terms: tuple[tuple[Monomial, Number], ...]) -> str:
    pieces = []
    for monomial, coefficient in terms:
        factors = [atom.text if power == 1 else f"{atom.text}**{power}" for atom, power in monomial]
        numerator, denominator = abs(coefficient.numerator), coefficient.denominator
        if numerator != 1 or not factors:
            factors.insert(0, str(numerator))
        sign = "-" if coefficient < 0 else "+"
        pieces.append(f"{sign} " + "*".join(factors) + (f"/{denominator}" if denominator != 1 else ""))
    text = " ".join(pieces)
    return text[2:] if text.startswith("+") else "-" + text[2:]


# --- division -------------------------------------------------------------------------------------------------


def divide(a: Scalar, b: Scalar) -> Scalar | None:
    """The scalar q with q * b == a as polynomials, or None where there is none (also for b == 0)."""
    if not isinstance(b, Expression):
        if b == 0:
            return None
        return a * Fraction(1, b) if isinstance(a, Expression) else number(Fraction(a) / b)
    if not isinstance(a, Expression):
        return 0 if a == 0 else None
    quotient: Scalar = 0
    rest: Scalar = a
    for _ in range(64):
        if not isinstance(rest, Expression):
            return quotient if rest == 0 else None
        ratio = _ratio(_leading(rest), _leading(b))
        if ratio is None:
            return None
        quotient = quotient + ratio
        rest = rest - ratio * b
    return None


def _leading(value: Expression) -> tuple[Monomial, Number]:
    """The greatest term in the degree-lexicographic order, which multiplication respects."""
    atoms = sorted({atom.text for monomial, _ in value.terms for atom, _ in monomial})

    def key(term: tuple[Monomial, Number]) -> tuple[int, list[tuple[int, str]], list[int]]:
        powers = {atom.text: power for atom, power in term[0]}
        return sum(powers.values()), [], [powers.get(text, 0) for text in atoms]

    return max(value.terms, key=key)


def _ratio(a: tuple[Monomial, Number], b: tuple[Monomial, Number]) -> Scalar | None:
    powers = dict(a[0])
    for atom, power in b[0]:
        powers[atom] = powers.get(atom, 0) - power
        if powers[atom] < 0:
            return None
    monomial = tuple((atom, power) for atom, power in powers.items() if power)
    return _scalar({monomial: Fraction(a[1]) / b[1]})


def floor(value: Scalar) -> Scalar:
    """The greatest integer that is at most `value`."""
    if not isinstance(value, Expression):
        return floor_number(value)
    whole = _scalar({m: floor_number(c) for m, c in value.terms if is_whole(m)})
    part = value - whole
    if not isinstance(part, Expression):
        return whole + floor_number(part)
    return whole + _nested_floor(part)


def is_whole(monomial: Monomial) -> bool:
    """Whether a monomial is surely an integer: only the least or greatest of fractions may be none."""
    return all(all(map(is_integral, atom.arguments)) for atom, _ in monomial if atom.kind in ("max", "min"))


def _nested_floor(part: Expression) -> Scalar:
    """floor(part), with floor((floor(x) + k) / b) = floor((x + k) / b) for integers k and b > 0."""
    (monomial, scale), *constant = part.terms
    offset = constant[0][1] if constant else 0
    plain = len(monomial) == 1 and monomial[0][1] == 1 and monomial[0][0].kind == "floor"
    alone = len(part.terms) == 1 or [m for m, _ in part.terms[1:]] == [()]
    if plain and alone and scale.numerator == 1 and Fraction(offset * scale.denominator).denominator == 1:
        return floor(monomial[0][0].arguments[0] * scale + offset)
    return opaque("floor", part)


def ceil(value: Scalar) -> Scalar:
    """The least integer that is at least `value`."""
    if not isinstance(value, Expression):
        return -floor_number(-value)
    if not all(is_whole(monomial) for monomial, _ in value.terms):
        return -floor(-value)
    common = lcm(*(c.denominator for _, c in value.terms))
    return floor(value + Fraction(common - 1, common))


def floordiv(a: Scalar, b: Scalar) -> Scalar | None:
    """floor(a / b); None for division by 0."""
    exact = divide(a, b)
    if exact is not None and (not isinstance(b, Expression) or is_integral(exact)):
        return floor(exact) if b != 1 else a
    if not isinstance(b, Expression):
        return None
    return opaque("div", a, b)


def is_integral(value: Scalar) -> bool:
    """Whether `value` is surely an integer: coefficients are, and what they multiply."""
    return all(c.denominator == 1 and is_whole(monomial) for monomial, c in terms_of(value))


def symbols(value: Scalar) -> set[str]:
    """The names of the dimensions that `value` depends on."""
    found: set[str] = set()
    for monomial, _ in terms_of(value):
        for atom, _ in monomial:
            if atom.kind == "symbol":
                found.add(name_of(atom))
            for argument in atom.arguments:
                found |= symbols(argument)
    return found


def name_of(atom: Atom) -> str:
    """The name of a symbol, unquoted."""
    return atom.text[1:-1].replace("``", "`") if atom.text.startswith("`") else atom.text
