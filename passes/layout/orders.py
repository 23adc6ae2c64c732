"""Orders in which the axes of a tensor lie in memory: what is stored is `Transpose(t, perm=order)`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

Order = tuple[int, ...]
Letters = tuple[int, ...]
"""A name for each axis of a tensor. Axes of different tensors of one operator with one name move together; the name
is repeated for neighbouring axes that only move as one."""


@lru_cache(maxsize=4096)
def identity(rank: int) -> Order:
    """The order of a tensor as it is."""
    return tuple(range(rank))


def inverse(order: Sequence[int]) -> Order:
    """The permutation that undoes `order`."""
    found = [0] * len(order)
    for place, axis in enumerate(order):
        found[axis] = place
    return tuple(found)


def then(first: Sequence[int], second: Sequence[int]) -> Order:
    """Transpose by `first`, and what comes out by `second`, as one permutation."""
    return tuple(first[axis] for axis in second)


@lru_cache(maxsize=4096)
def lettered(letters: Letters, order: Order) -> Letters | None:
    """The names of the axes of a tensor in a new order, each once; None if that tears axes apart that move as one."""
    found: list[int] = []
    for place, axis in enumerate(order):
        letter = letters[axis]
        starts = axis == 0 or letters[axis - 1] != letter
        if starts:
            found.append(letter)
        elif place == 0 or order[place - 1] != axis - 1:
            return None
    return tuple(found)


@lru_cache(maxsize=4096)
def ordered(letters: Letters, wanted: Letters) -> Order:
    """The order of the axes of a tensor that follows the order of the names `wanted`, which may hold others too."""
    places: dict[int, list[int]] = {}
    for axis, letter in enumerate(letters):
        places.setdefault(letter, []).append(axis)
    return tuple(axis for letter in wanted for axis in places.get(letter, ()))


@lru_cache(maxsize=4096)
def arranged(universe: Letters, given: Letters) -> Letters:
    """All names of `universe`, those in `given` in that order, each other one behind the one it follows there."""
    placed = list(given)
    known = set(given)
    for place, letter in enumerate(universe):
        if letter not in known:
            at = placed.index(universe[place - 1]) + 1 if place else 0
            placed.insert(at, letter)
            known.add(letter)
    return tuple(placed)
