"""Digits, a sample of their pictures, and a clock that counts nodes instead of seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt.budget import clock as clocks
from graphopt.measure.environment import environment
from graphopt.measure.record import Bench, Measured, Setting
from graphopt.measure.statistics import Latency, Ratio

MODELS = Path(__file__).parents[2] / "models"
DIGITS = MODELS / "digits.onnx"
PLUGIN = "tests.budget.planted"
NODE_S, BASE = 1e-4, 30


@dataclass(frozen=True)
class Counting:
    """A run takes 0.1 ms for each node, and every ratio is known to one percent."""

    data: object = None
    seed: int = 0

    def seconds(self, model):
        return NODE_S * len(onnx.load(model).graph.node)

    def ratio(self, model, other):
        value = self.seconds(other) / self.seconds(model)
        return Ratio(value, value / 1.01, value * 1.01)

    def bench(self, model, other):
        def measured(path, ratio):
            p50 = self.seconds(path)
            return Measured(
                str(path), 1, 1, Latency(p50, p50, p50, p50, 1, (p50,) * 21), 1 / p50, ratio, 0.0, 0, 0, (), ()
            )

        models = (measured(model, None), measured(other, self.ratio(model, other)))
        setting = Setting(1, 1, {}, {}, (), 8, 1, models)
        return Bench((str(model), str(other)), "cpu", "drawn", (setting,), environment(), 0, 0.0)


@pytest.fixture
def clock(monkeypatch):
    """Time is the number of nodes."""
    monkeypatch.setattr(clocks, "Stopwatch", Counting)


@pytest.fixture(scope="session")
def sample(tmp_path_factory) -> Path:
    """200 of the held-out digits."""
    held = np.load(MODELS / "digits.test.npz")
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, image=held["image"][:200], label=held["label"][:200])
    return path
