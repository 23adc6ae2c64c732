"""Weights of least magnitude become zero; the network stays what it is otherwise, and is told to be no faster."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.errors import UsageError
from graphopt.ir.reader import load
from passes.prune.recover.layers import layers
from passes.sparsify import SPARSIFY
from passes.sparsify.zero import patterned, smallest
from tests.support import apply

TWO = """
g (float[n, 8, 6, 6] x) => (float[n, 12] y) {
    c = Conv<pads = [1, 1, 1, 1]>(x, w1)
    p = GlobalAveragePool(c)
    f = Flatten(p)
    y = Gemm<transB = 1>(f, w2, b2)
}
"""
WEIGHTS = {
    "w1": (16, 8, 3, 3),
    "w2": 0.1 * np.random.default_rng(3).standard_normal((12, 16)).astype("f4"),
    "b2": (12,),
}


def _weights(result: object) -> list[np.ndarray]:
    return [layer.weight.values for layer in layers(load(result.model.to_proto()))]


def _zeros(result: object) -> list[float]:
    return [float(np.mean(held == 0)) for held in _weights(result)]


def _run(options: str) -> object:
    result = apply(f"sparsify{options}", TWO, WEIGHTS)
    assert not result.report.rolled_back
    return result


def test_half_of_each_layer_goes_by_default_and_the_largest_stay() -> None:
    result = _run("")
    assert _zeros(result) == [0.5, 0.5]
    left = np.abs(_weights(result)[0])
    gone = left == 0
    before = np.abs(_weights(apply("clean", TWO, WEIGHTS))[0])
    assert before[gone].max() <= left[~gone].min()


def test_a_share_of_all_together_takes_more_from_the_layer_with_smaller_weights() -> None:
    first, second = _zeros(_run(":share=0.3:scope=global"))
    assert second > 3 * first


def test_two_of_four_neighbours_that_are_summed_over_stay() -> None:
    conv, gemm = _weights(_run(":pattern=2of4"))
    assert ((conv.reshape(16, 2, 4, 3, 3) != 0).sum(axis=2) == 2).all()
    assert ((gemm.reshape(12, 4, 4) != 0).sum(axis=2) == 2).all()


def test_it_is_said_that_nothing_gets_faster() -> None:
    assert any("sparse kernels" in note for note in _run("").report.notes)


def test_a_rest_that_fills_no_pattern_stays_whole() -> None:
    kept = patterned(np.arange(1.0, 7.0)[None], 1, 1, 4)
    assert kept.tolist() == [[False, False, False, True, True, True]]


def test_equal_weights_go_together() -> None:
    assert smallest([np.ones(4)], 0.5, together=False)[0].sum() == 0


def test_a_model_without_layers_is_refused() -> None:
    with pytest.raises(UsageError, match="no layer has constant weights"):
        apply(SPARSIFY, "g (float[n, 4] x) => (float[n, 4] y) { y = Relu(x) }")


@pytest.mark.parametrize("options", [":share=1", ":share=0", ":pattern=4of2", ":pattern=x", ":scope=all"])
def test_options_without_sense_are_refused(options: str) -> None:
    with pytest.raises(UsageError, match="sparsify"):
        _run(options)
