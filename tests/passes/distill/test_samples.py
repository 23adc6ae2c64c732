"""Samples come whole, once each, and are read once if they fit into memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from graphopt.data.batch import Batch
from graphopt.errors import UsageError
from passes.distill.samples import Samples
from tests.passes.distill.support import Drawn, drawn

SAMPLE = 36 * 4
"""Bytes of one sample."""


def test_what_fits_into_memory_is_one_piece_and_read_once():
    data = drawn(40)
    samples = Samples(data)
    assert samples.count == 40
    (piece,) = samples
    (again,) = samples
    assert piece is again
    assert len(data.read) == 1
    np.testing.assert_array_equal(piece.feeds["x"], data.x)


def test_what_does_not_fit_is_read_in_pieces_each_time():
    data = drawn(64)
    samples = Samples(data, memory=20 * SAMPLE)
    pieces = [piece.feeds["x"] for piece in samples]
    assert [len(piece) for piece in pieces] == [32, 32]
    np.testing.assert_array_equal(np.concatenate(pieces), data.x)
    assert len(data.read) == 2


def test_a_limit_takes_the_first_ones():
    assert Samples(drawn(40), 24).count == 24


def test_no_samples_are_refused():
    with pytest.raises(UsageError, match="no samples"):
        Samples(Drawn(np.zeros((0, 1, 6, 6), np.float32)))


@dataclass
class Given(Drawn):
    made: tuple[Batch, ...] = ()

    def batches(self, size=None, limit=None):
        del size, limit
        return iter(self.made)


def test_padding_is_no_sample_and_shapes_do_not_mix():
    made = (
        Batch({"x": np.ones((4, 3))}, np.arange(4), 4),
        Batch({"x": np.ones((4, 3))}, np.arange(2), 2),
        Batch({"x": np.ones((1, 5))}, np.arange(1), 1),
    )
    pieces = list(Samples(Given(np.empty(0), made=made)))
    assert [piece.feeds["x"].shape for piece in pieces] == [(6, 3), (1, 5)]
    assert [len(piece.labels) for piece in pieces] == [6, 1]


def test_samples_without_a_batch_axis_are_fed_one_by_one():
    made = tuple(Batch({"x": np.full((3, 2), k)}, None, 1, whole=True) for k in range(5))
    (piece,) = Samples(Given(np.empty(0), made=made))
    assert len(piece) == 5
    np.testing.assert_array_equal(piece.batch([3]).feeds["x"], np.full((3, 2), 3))
