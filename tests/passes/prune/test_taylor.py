"""Taylor importance: atoms on which the answers do not depend go first."""

from __future__ import annotations

import numpy as np
import pytest

import graphopt
from graphopt import extras
from graphopt.analysis.shapes import Shapes
from graphopt.errors import UsageError
from graphopt.numerics.run import InProcess
from passes.prune.grouping import Grouping
from passes.prune.taylor import taylor
from tests.passes.distill import support


@pytest.fixture
def samples(tmp_path):
    drawn = support.drawn(48, labels=True)
    np.savez(tmp_path / "samples.npz", x=drawn.x, label=drawn.y)
    return tmp_path / "samples.npz"


def prune(options, samples=None):
    return graphopt.optimize(
        support.message(8), passes=f"prune:{options}", calibration=samples, verify="full", runner=InProcess()
    )


def likelihood(weights, data):
    """The mean log-likelihood of the labels."""
    model = support.proto(support.NETWORK, weights)
    (scores,) = InProcess().run(model.SerializeToString(), {"x": data.x})
    scores = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return scores[np.arange(len(data.y)), data.y].mean()


def test_a_score_is_the_square_of_what_a_little_less_of_an_atom_changes():
    pytest.importorskip("torch", reason="gradients need torch")
    model, data = support.network(), support.drawn(16, labels=True)
    grouping = Grouping(model, Shapes(model))
    (group,) = (group for group in grouping.groups if group.name == "w1")
    found = taylor(grouping, [group], data, samples=16, seed=0)[group]
    slopes = []
    for atom in range(group.size):
        ends = []
        for scale in (1.001, 0.999):
            weights = support.weights(4, 1)
            weights["w2"][:, atom] *= scale
            ends.append(likelihood(weights, data))
        slopes.append((ends[0] - ends[1]) / 0.002)
    np.testing.assert_allclose(found, np.square(slopes), rtol=0.02, atol=1e-6)


@pytest.mark.parametrize("allocate", ["uniform", "sensitivity"])
def test_it_decides_what_goes(allocate, samples):
    pytest.importorskip("torch", reason="gradients need torch")
    result = prune(f"macs=0.5:importance=taylor:allocate={allocate}", samples)
    assert "importance taylor" in result.report.tables[0].text
    assert not result.report.rolled_back
    kept = {tensor.name: tuple(tensor.dims) for tensor in result.model.to_proto().graph.initializer}
    assert kept["w1"][0] < 8


def test_without_samples_it_is_refused():
    with pytest.raises(UsageError, match="importance=taylor needs samples"):
        prune("ratio=0.5:importance=taylor")


def test_without_torch_it_says_what_to_install(samples, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda _module: None)
    with pytest.raises(UsageError, match=r"importance=taylor needs torch: pip install 'graphopt\[torch\]'"):
        prune("ratio=0.5:importance=taylor", samples)
