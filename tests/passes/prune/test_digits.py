"""Reshapes as blocks of axes, and axes as digits."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.analysis.symbolic import symbol
from passes.prune.digits import Block, Run, digits, matched, runs

N, S = symbol("n"), symbol("s")


@pytest.mark.parametrize(
    ("before", "after", "blocks"),
    [
        ((2, 3), (2, 3), [((1,), (1,)), ((0,), (0,))]),
        ((N, S, 12), (N, S, 3, 4), [((2,), (2, 3)), ((1,), (1,)), ((0,), (0,))]),
        ((N, 6, 4, 4), (N, 2, 48), [((1, 2, 3), (1, 2)), ((0,), (0,))]),
        ((8, 6), (6, 8), [((0, 1), (0, 1))]),
        ((N, 4, S), (N, 4 * S), [((0,), (0,)), ((1, 2), (1,))]),
        ((N, S, 5), (N * S, 5), [((2,), (1,)), ((0, 1), (0,))]),
    ],
)
def test_blocks_are_the_fewest_neighbours_with_the_same_elements(before, after, blocks):
    assert list(matched(before, after)) == blocks


def test_digits_are_what_the_axes_of_both_sides_have_in_common():
    assert digits([(12,), (3, 4)]) == [3, 4]
    assert digits([(6, 4, 4), (2, 48)]) == [2, 3, 4, 4]
    assert digits([(6, 4), (4, 6)]) is None


def test_an_axis_is_a_run_of_digits():
    split = [2, 3, 4]
    assert runs([6, 4], [7, 8], split) == [Run(7, 0, 2), Run(8, 2, 3)]
    assert runs([2, 12], [-1, 9], split) == [Run(9, 1, 3)]


def test_every_index_of_an_axis_has_a_value_of_each_of_its_digits():
    run = Run(0, 0, 2)
    block = Block(None, (2, 3, 4), (run,))
    np.testing.assert_array_equal(block.values(run, 0), [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(block.values(run, 1), [0, 1, 2, 0, 1, 2])
