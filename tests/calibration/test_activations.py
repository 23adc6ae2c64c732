"""The values of inner tensors are those that the model computes, whatever the runtime fuses."""

import itertools

import numpy as np
import pytest

from graphopt.calibration import serving
from graphopt.calibration.activations import activations
from graphopt.data.opening import open_data
from graphopt.ir.reader import load
from graphopt.numerics.session import Session
from tests.support import SHORTCUT as NET
from tests.support import proto

WEIGHTS = {"first": (16, 3, 3, 3), "second": (12, 16, 3, 3), "short": (12, 16, 1, 1)}
WANTED = [names for count in (1, 3, 6) for names in itertools.combinations("arydpz", count)]


@pytest.fixture
def opened(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.ones((2, 3, 8, 8), np.float32))
    model = load(proto(NET, WEIGHTS))
    return model, open_data(tmp_path / "data.npz", model)


def plain():
    """All of them, with every optimisation off."""
    message = proto(NET, WEIGHTS)
    message.graph.output.extend(type(message.graph.output[0])(name=name) for name in "arydp")
    with Session(message.SerializeToString()) as session:
        return dict(zip(session.output_names, session.run({"x": np.ones((2, 3, 8, 8), np.float32)}), strict=True))


def test_convolutions_before_sums_are_given(opened):
    model, data = opened
    made = {tensor.name: tensor for node in model.graph.nodes for tensor in node.outputs}
    reference = plain()
    for names in WANTED:
        (found,) = activations(model, data, [made[name] for name in names])
        assert found.keys() == set(names)
        for name, values in found.items():
            assert values == pytest.approx(reference[name], abs=1e-4)


@pytest.mark.parametrize(("names", "asked"), [("y", True), ("ad", True), ("z", False)])
def test_fusions_that_lose_what_is_read_inside_are_off_where_that_is_asked_for(opened, names, asked, monkeypatch):
    model, data = opened
    made = {tensor.name: tensor for node in model.graph.nodes for tensor in node.outputs}
    given, real = [], serving.open_session
    monkeypatch.setattr(serving, "open_session", lambda *a, **k: given.append(k["inner"]) or real(*a, **k))
    next(activations(model, data, [made[name] for name in names]))
    assert given == [asked]
