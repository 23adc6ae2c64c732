"""Reads the text of a symbolic dimension back: `parse(str(x)) == x`."""

from __future__ import annotations

import re

from graphopt.analysis.order import apply
from graphopt.analysis.symbolic import Scalar, divide, symbol

_WORD = re.compile(r"\s*(?:(\d+)|(`(?:[^`]|``)*`)|([A-Za-z_][A-Za-z0-9_.]*)|(\*\*|[-+*/(),]))")
_NAME = re.compile(r"[A-Za-z_]")
_FUNCTIONS = ("floor", "trunc", "max", "min", "div")


def parse(text: str) -> Scalar:
    """The scalar that `text` spells. Raises ValueError for anything that no scalar prints as."""
    words = _words(text)
    reader = _Reader(words)
    value = reader.sum()
    if reader.position != len(words):
        raise ValueError(f"{text!r} is no expression in dimensions")
    return value


def _words(text: str) -> list[str]:
    words, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _WORD.match(text, position)
        if match is None:
            raise ValueError(f"{text!r} is no expression in dimensions: see position {position}")
        words.append(match[0].strip())
        position = match.end()
    return words


class _Reader:
    """Recursive descent; nesting is as deep as the parentheses of the text."""

    def __init__(self, words: list[str]) -> None:
        self.words, self.position = words, 0

    def peek(self) -> str:
        return self.words[self.position] if self.position < len(self.words) else ""

    def take(self, expected: str = "") -> str:
        word = self.peek()
        if not word or (expected and word != expected):
            raise ValueError(f"expected {expected or 'more'} in {' '.join(self.words)!r}")
        self.position += 1
        return word

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
                raise ValueError(f"{' '.join(self.words)!r} divides inexactly")
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
        word = self.take()
        if word == "(":
            value = self.sum()
            self.take(")")
            return value
        if word.isdigit():
            return int(word)
        if word in _FUNCTIONS and self.peek() == "(":
            return self.call(word)
        if word.startswith("`"):
            return symbol(word[1:-1].replace("``", "`"))
        if _NAME.match(word):
            return symbol(word)
        raise ValueError(f"{word!r} stands where a dimension should in {' '.join(self.words)!r}")

    def call(self, kind: str) -> Scalar:
        self.take("(")
        arguments = [self.sum()]
        while self.peek() == ",":
            self.take()
            arguments.append(self.sum())
        self.take(")")
        return apply(kind, arguments)
