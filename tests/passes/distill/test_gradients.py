"""Gradients for importance: of what the labels say, or of what the network itself answers."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="distill needs torch")

from graphopt.errors import UsageError
from graphopt.ir.reader import load
from passes.distill.gradients import gradients
from passes.distill.network.network import Network
from tests.passes.distill.support import drawn, network
from tests.support import proto


def test_they_are_those_of_the_likelihood_of_the_labels():
    model, data = network(), drawn(16, labels=True)
    (found,) = gradients(model, data)
    assert {constant.name: array.shape for constant, array in found.items()} == {
        constant.name: constant.shape for constant in Network(model).constants.values()
    }
    net = Network(model)
    names = {constant.name: constant for constant in found}

    def likelihood(step: float) -> float:
        moved = {**net.weights, "b3": net.weights["b3"] + torch.tensor([step, 0.0, 0.0])}
        scores = net({"x": torch.from_numpy(data.x)}, (), moved)["y"]
        return -float(torch.nn.functional.cross_entropy(scores, torch.from_numpy(data.y)))

    slope = (likelihood(1e-2) - likelihood(-1e-2)) / 2e-2
    np.testing.assert_allclose(found[names["b3"]][0], slope, rtol=1e-2)


def test_without_labels_the_answers_are_drawn_with_the_seed():
    first, again, other = (list(gradients(network(), drawn(40), seed=seed)) for seed in (0, 0, 1))
    assert len(first) == 3
    same = [
        all(
            np.array_equal(a, b)
            for one, two in zip(first, runs, strict=True)
            for a, b in zip(one.values(), two.values(), strict=True)
        )
        for runs in (again, other)
    ]
    assert same == [True, False]


def test_outputs_that_are_no_scores_are_refused():
    model = load(
        proto("g (float[N, 1, 6, 6] x) => (float[N, 1] y) { f = Flatten (x)\n y = MatMul (f, w) }", {"w": (36, 1)})
    )
    with pytest.raises(UsageError, match="no scores of classes"):
        list(gradients(model, drawn(16)))
