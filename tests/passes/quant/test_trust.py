"""Too few samples are told, with the number that would do."""

import numpy as np
import pytest

from passes.quant.trust import chance_beyond, enough, warning
from tests.passes.quant.nets import convs, quantised, samples, saved


def test_the_probability_is_that_of_a_new_extreme():
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((20_000, 10))
    beyond = (drawn[:, -1] > drawn[:, :-1].max(axis=1)) | (drawn[:, -1] < drawn[:, :-1].min(axis=1))
    assert beyond.mean() == pytest.approx(chance_beyond(9), abs=0.01)


def test_enough_is_the_least_number_that_is():
    assert chance_beyond(enough(0.05)) <= 0.05 < chance_beyond(enough(0.05) - 1)
    assert warning(enough()) is None
    assert "199 samples" in str(warning(enough() - 1))


def test_the_report_warns(tmp_path):
    notes = quantised(convs(), saved(tmp_path, x=samples())).report.notes
    assert any(note.startswith("calibrated on 16 samples: ") for note in notes)
