"""Reads the text of a symbolic dimension back: `parse(str(x)) == x`."""

from __future__ import annotations

import re

from graphopt.analysis.order import apply
from graphopt.analysis.symbolic import Scalar, divide, symbol

_TOKEN = re.compile(r"\s*(?:(\d+)|(`(?:[^`]|``)*`)|([A-Za-z_][A-Za-z0-9_.]*)|(\*\*|[-+*/(),]))")
_FUNCTIONS = ("floor", "trunc", "max", "min", "div")


def parse(text: str) -> Scalar:
    """The scalar that `text` spells. Raises ValueError for anything that no scalar prints as."""
    tokens = _tokens(text)
    reader = _Reader(tokens)
    value = reader.sum()
    if reader.position != len(tokens):
        raise ValueError(f"{text!r} is no expression in dimensions")
    return value


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"{text!r} is no expression in dimensions: see position {position}")
        tokens.append(match[0].strip())
        position = match.end()
    return tokens


class _Reader:
    """Recursive descent; nesting is as deep as the parentheses of the text."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.position = tokens, 0

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if not token or (expected and token != expected):
            raise ValueError(f"expected {expected or 'more'} in {' '.join(self.tokens)!r}")
        self.position += 1
        return token

    def sum(self) -> Scalar:
        value: Scalar = 0
        sign = 1
        if self.peek() == "-":
            self.take()
            sign = -1
        value = self.product() * sign
        while self.peek() in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            value = value + self.product() * sign
        return value

    def product(self) -> Scalar:
        value = self.power()
        while self.peek() in ("*", "/"):
            if self.take() == "*":
                value = value * self.power()
                continue
            quotient = divide(value, self.power())
            if quotient is None:
                raise ValueError(f"{' '.join(self.tokens)!r} divides inexactly")
            value = quotient
        return value

    def power(self) -> Scalar:
        base = self.primary()
        if self.peek() != "**":
            return base
        self.take()
        value: Scalar = 1
        for _ in range(int(self.take())):
            value = value * base
        return value

    def primary(self) -> Scalar:
        token = self.take()
        if token == "(":
            value = self.sum()
            self.take(")")
            return value
        if token.isdigit():
            return int(token)
        if token in _FUNCTIONS and self.peek() == "(":
            return self.call(token)
        if token.startswith("`"):
            return symbol(token[1:-1].replace("``", "`"))
        if token[0].isalpha() or token[0] == "_":
            return symbol(token)
        raise ValueError(f"{token!r} stands where a dimension should in {' '.join(self.tokens)!r}")

    def call(self, kind: str) -> Scalar:
        self.take("(")
        arguments = [self.sum()]
        while self.peek() == ",":
            self.take()
            arguments.append(self.sum())
        self.take(")")
        return apply(kind, arguments)
