"""Weights that a rule puts one behind the other are read when they are written."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.ir.joined import Joined
from graphopt.ir.types import Array, Constant, Stored


class Counted(Stored):
    """Counts how often it is read, and how often its memory is given back."""

    def __init__(self, array: Array) -> None:
        super().__init__(array.shape, array.dtype, array.nbytes)
        self.array, self.loads, self.releases = array, 0, 0

    def load(self) -> Array:
        self.loads += 1
        return self.array

    def release(self) -> None:
        self.releases += 1


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_it_is_what_concat_makes(axis):
    arrays = [np.arange(6.0).reshape(2, 3), np.ones((2, 3)), np.zeros((2, 3))]
    joined = Joined([Constant("", array) for array in arrays], axis)
    expected = np.concatenate(arrays, axis)
    assert (joined.shape, joined.dtype, joined.nbytes) == (expected.shape, expected.dtype, expected.nbytes)
    assert np.array_equal(joined.load(), expected)
    assert not joined.load().flags.writeable


def test_nothing_is_read_before_and_nothing_stays_in_memory_after():
    parts = [Counted(np.ones((2, 2))) for _ in range(2)]
    joined = Joined([Constant("", part) for part in parts], 1)
    assert [part.loads for part in parts] == [0, 0]
    joined.load()
    assert [(part.loads, part.releases) for part in parts] == [(1, 1), (1, 1)]


def test_it_holds_what_the_constants_held_when_it_was_made():
    source = Constant("w", np.ones((1, 2)))
    joined = Joined([source, source], 0)
    source.values = np.zeros((1, 2))
    assert np.array_equal(joined.load(), np.ones((2, 2)))
