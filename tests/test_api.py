"""`optimize` tells apart what it is given, and says what it cannot take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphopt
from graphopt.numerics.process import started
from tests.support import proto

MODEL = proto("agraph (float[n, 4] x) => (float[n, 4] y) { a = Identity(x) y = Relu(a) }")


@pytest.mark.parametrize("source", [3, None, b"bytes", Path])
def test_what_is_no_model(source):
    with pytest.raises(graphopt.UsageError, match=r"a model is a path, an onnx\.ModelProto or a graphopt Model, not"):
        graphopt.optimize(source)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"passes": ["clean", 3]}, "a pipeline holds names, rules and passes, not 3"),
        ({"limit": -1}, "limit must be a whole number, at least 0, found -1"),
        ({"limit": 0.5}, "limit must be a whole number, at least 0, found 0.5"),
        ({"seed": -1}, "seed must be a whole number, at least 0, found -1"),
        ({"seed": "3"}, "seed must be a whole number, at least 0, found '3'"),
        ({"passes": 3}, "passes must be a pipeline's text, or a list of names, rules and passes, not 3"),
        ({"plugins": "mine"}, r"plugins must be a list of names of modules, not the text 'mine'"),
        ({"feeds": {}}, "feeds has no array 'x'"),
        ({"feeds": {"x": [[1, 2, 3, 4]]}}, "feeds: input 'x' must be float, found int64"),
        ({"feeds": {"x": np.zeros((2, 4))}}, "feeds: input 'x' must be float, found float64"),
        (
            {"feeds": {"x": np.zeros((2, 5), np.float32)}},
            r"feeds: input 'x' must have shape \['n', 4\], found \[2, 5\]",
        ),
    ],
)
def test_arguments_that_do_not_fit(arguments, sentence):
    with pytest.raises(graphopt.UsageError, match=sentence):
        graphopt.optimize(MODEL, **arguments)


def test_a_process_that_was_started_before_serves_the_default_worker(monkeypatch):
    with started() as process:
        monkeypatch.setattr("graphopt.numerics.worker.Process", None)
        assert graphopt.optimize(MODEL, runner=process).report.regions_checked == 1
        assert not process.alive, "it ends with the compile"


def test_feeds_may_hold_more_than_the_model_asks_for():
    feeds = {"x": np.ones((3, 4), np.float32), "label": np.zeros(3)}
    assert graphopt.optimize(MODEL, feeds=feeds).report.clean
