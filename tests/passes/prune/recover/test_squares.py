"""A layer is fitted as far as samples that it was not fitted to gain by it, however few there are."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.ir.reader import load
from passes.prune.recover.layers import layers
from passes.prune.recover.program import Feeds, Program
from passes.prune.recover.squares import Check, best, gathered, recovered, solve
from tests.passes.distill.support import Drawn
from tests.support import proto

WIDTH = 64
FIXED = 1e-2
"""A ridge for all layers alike, which harms where samples are few."""


def _rows(count: int, seed: int, noise: float, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, and what is missing behind them: what `change` explains of it, and what nothing does."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, 1, WIDTH))
    return x, x @ change + noise * rng.standard_normal((count, 1, change.shape[1]))


def _left(change: np.ndarray | None, pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    check = Check(pairs)
    return check.error(change) / check.error()


@pytest.mark.parametrize("explained", [0.0, 0.1])
def test_fewer_samples_than_inputs_do_no_harm(explained: float) -> None:
    change = explained * np.random.default_rng(9).standard_normal((WIDTH, 5))
    few, held, others = (_rows(count, seed, 1.0, change) for seed, count in enumerate((30, 30, 2000)))
    moments = gathered([few])
    fixed = solve(moments.square.copy(), moments.cross.copy(), FIXED, bias=True)
    assert _left(fixed, [others]) > 1.2
    assert _left(best(moments, Check([held]), bias=True), [others]) < 1.05


def test_nothing_changes_where_no_fit_helps_the_samples_that_were_held_back() -> None:
    x, gap = _rows(100, 0, 0.0, np.ones((WIDTH, 5)))
    assert best(gathered([(x, gap)]), Check([(x, gap)]), bias=False) is not None
    assert best(gathered([(x, gap)]), Check([(x, -gap)]), bias=False) is None


def test_many_samples_are_fitted_as_closely_as_ever() -> None:
    change = np.random.default_rng(9).standard_normal((WIDTH, 5))
    many, held, others = (_rows(count, seed, 0.1, change) for seed, count in enumerate((4000, 1000, 2000)))
    moments = gathered([many])
    found = best(moments, Check([held]), bias=True)
    assert found is not None
    fixed = solve(moments.square, moments.cross, FIXED, bias=True)
    assert _left(found, [others]) <= _left(fixed, [others])
    np.testing.assert_allclose(found[0, :WIDTH], change, atol=0.03)


NET = "g (float[n, 64] x) => (float[n, 4] y) { h = MatMul(x, w)  r = Relu(h)  y = Gemm(r, v, b) }"


@pytest.mark.parametrize("count", [8, 40, 400])
def test_no_layer_is_farther_from_the_original_than_unfitted(count: int) -> None:
    """Half of the columns of the first weights are others in the network that is fitted."""
    original = Program(load(proto(NET, {"w": (64, 48), "v": (48, 4), "b": (4,)})))
    damaged = proto(NET, {"w": (64, 48), "v": (48, 4), "b": (4,)})
    cut = Program(load(damaged))
    rng = np.random.default_rng(3)
    weights = np.array(next(layers(load(damaged))).weight.values)
    weights[:, ::2] = rng.standard_normal(weights[:, ::2].shape)
    cut.put("w", weights)
    behind = [layer for layer in layers(load(damaged)) if layer.weight.tensor.name == "v"]
    others = {"x": rng.standard_normal((1000, 64)).astype("f4")}
    before = _distance(original, cut, others)
    feeds = Feeds(Drawn(rng.standard_normal((count, 64)).astype("f4")), 512)
    list(recovered(original, cut, behind, feeds, {}))
    after = _distance(original, cut, others)
    assert after <= 1.02 * before
    assert count < 100 or after < 0.7 * before


def _distance(original: Program, cut: Program, feed: dict[str, np.ndarray]) -> float:
    with original.session(["y"]) as one, cut.session(["y"]) as other:
        return float(np.square(one.run(feed)["y"] - other.run(feed)["y"]).mean())
