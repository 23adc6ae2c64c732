"""Parts of a model run, whatever is asked for from inside it, and part of the samples is held back."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.errors import UsageError
from graphopt.ir.reader import load
from passes.prune.recover.program import Feeds, Program
from tests.passes.distill.support import Drawn
from tests.support import SHORTCUT as NET
from tests.support import proto


@pytest.mark.parametrize("width", [16, 23])
def test_a_convolution_is_given_though_a_sum_reads_it(width: int) -> None:
    shapes = {"first": (width, 3, 3, 3), "second": (12, width, 3, 3), "short": (12, width, 1, 1)}
    program = Program(load(proto(NET, shapes)))
    with program.session(["y", "d", "p"]) as session:
        found = session.run({"x": np.ones((2, 3, 8, 8), np.float32)})
    assert found["p"] == pytest.approx(found["y"] + found["d"], abs=1e-5)


class Exported(Drawn):
    """Samples for a model that takes batches of one size."""

    def batches(self, size=None, limit=None):
        if size not in (None, self.size):
            raise UsageError("the model was exported for another number")
        return super().batches(size, limit)


def _numbers(part):
    return [int(x) for feed in part for x in feed["x"]]


@pytest.mark.parametrize(
    ("count", "size", "held"),
    [(16, 1, [3, 7, 11, 15]), (40, 16, list(range(30, 40))), (2, 16, [1]), (1, 16, [])],
)
def test_a_quarter_of_the_samples_is_held_back(count: int, size: int, held: list[int]) -> None:
    feeds = Feeds(Drawn(np.arange(count), size=size), 512)
    assert _numbers(feeds.held) == held
    assert sorted(_numbers(feeds.fitted) + held) == list(range(count))
    assert (feeds.held.count, feeds.fitted.count) == (len(held), count - len(held))


def test_batches_of_one_size_are_held_back_whole() -> None:
    assert _numbers(Feeds(Exported(np.arange(12), size=4), 512).held) == list(range(8, 12))
    assert not _numbers(Feeds(Exported(np.arange(4), size=4), 512).held)


def test_the_first_samples_are_whole_batches() -> None:
    feeds = Feeds(Drawn(np.arange(64), size=4), 512)
    assert _numbers(feeds.held.first(5)) == [*range(12, 16), *range(28, 32)]
