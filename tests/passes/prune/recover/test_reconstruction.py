"""Atoms go in the order in which they are missed least, and what is left makes up for them as well as it can."""

from __future__ import annotations

import numpy as np
import pytest

from passes.prune.groups import Group
from passes.prune.kind import Kind
from passes.prune.recover.reconstruction import System, ranked, refitted
from passes.prune.recover.squares import gathered, products, solve, with_one

RIDGE = 1e-9


def _group(size: int) -> Group:
    return Group("g", Kind.UNITS, np.arange(size), ())


def _system(x: np.ndarray, weights: np.ndarray, labels: list[int]) -> System:
    rows = with_one(x[:, None])
    return System(
        products(rows, rows)[0], np.vstack([weights, np.zeros((1, weights.shape[1]))]), np.array([*labels, -1])
    )


def _inputs(columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((400, columns))


def test_an_atom_that_others_repeat_goes_first_however_large_its_weights() -> None:
    x = _inputs(4)
    x[:, 3] = x[:, 0] + 1e-3 * _inputs(1, 1)[:, 0]
    weights = np.diag([1.0, 1.0, 1.0, 50.0])
    order = ranked(_group(4), [_system(x, weights, [0, 1, 2, 3])], RIDGE)
    assert order[0] in (0, 3)
    assert {0, 3} != set(order[:2].tolist())


def test_the_error_of_the_first_is_the_least_of_all_single_ones() -> None:
    x, weights = _inputs(6) @ _inputs(6, 1)[:6], _inputs(6, 2)[:6, :3]
    system = _system(x, weights, [0, 0, 1, 1, 2, 2])

    def error(atom: int) -> float:
        found = refitted(system, np.array([atom]), RIDGE)
        return float(np.square(with_one(x[:, None])[:, 0] @ (found - system.weights)).sum())

    assert ranked(_group(3), [system], RIDGE)[0] == np.argmin([error(atom) for atom in range(3)])


def test_what_is_left_is_the_least_squares_solution_with_zeros_for_what_is_gone() -> None:
    x, weights = _inputs(5) + 1.0, _inputs(5, 2)[:5, :2]
    x[:, 4] += x[:, 0]
    found = refitted(_system(x, weights, [0, 1, 2, 3, 4]), np.array([0, 2]), RIDGE)
    left = np.hstack([x[:, [1, 3, 4]], np.ones((400, 1))])
    expected = np.linalg.lstsq(left, x @ weights, rcond=None)[0]
    np.testing.assert_allclose(found[[1, 3, 4, 5]], expected, atol=1e-6)
    assert not found[[0, 2]].any()


def test_a_group_that_several_layers_read_is_ranked_by_all_of_them() -> None:
    x = _inputs(3)
    one, other = np.diag([1.0, 0.1, 1.0]), np.diag([0.1, 1.0, 1.0])
    systems = [_system(x, weights, [0, 1, 2]) for weights in (one, other)]
    assert ranked(_group(3), systems[:1], RIDGE)[0] == 1
    assert ranked(_group(3), systems[1:], RIDGE)[0] == 0
    assert ranked(_group(3), systems, RIDGE)[2] == 2


@pytest.mark.parametrize("bias", [True, False])
def test_the_change_explains_the_target(bias: bool) -> None:
    x, change = _inputs(4), _inputs(4, 3)[:4, :2]
    gap = x @ change + (3.0 if bias else 0.0)
    moments = gathered([(x[:200, None], gap[:200, None]), (x[200:, None], gap[200:, None])])
    found = solve(moments.square, moments.cross, RIDGE, bias=bias)
    np.testing.assert_allclose(found[0, :4], change, atol=1e-6)
    np.testing.assert_allclose(found[0, 4], 3.0 if bias else 0.0, atol=1e-6)
    assert moments.rows == 400


def test_dead_inputs_get_no_weights() -> None:
    x = _inputs(3)
    x[:, 1] = 0.0
    moments = gathered([(x[:, None], x[:, None, :1])])
    found = solve(moments.square, moments.cross, 1e-2, bias=True)
    assert np.isfinite(found).all()
    assert abs(found[0, 1, 0]) < 1e-9
