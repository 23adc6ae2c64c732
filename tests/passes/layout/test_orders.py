import itertools

import numpy as np

from passes.layout.orders import arranged, inverse, lettered, ordered, then


def test_permutations_compose_and_invert_as_transposes_do():
    array = np.arange(24).reshape(2, 3, 4)
    for p, q in itertools.product(itertools.permutations(range(3)), repeat=2):
        np.testing.assert_array_equal(array.transpose(p).transpose(q), array.transpose(then(p, q)))
        assert then(p, inverse(p)) == (0, 1, 2)


def test_axes_with_one_name_move_as_one():
    assert lettered((0, 1, 1, 2), (3, 1, 2, 0)) == (2, 1, 0)
    assert lettered((0, 1, 1, 2), (1, 3, 2, 0)) is None
    assert ordered((0, 1, 1, 2), (2, 1, 0)) == (3, 1, 2, 0)


def test_axes_that_nobody_asked_for_stay_behind_their_neighbours():
    assert arranged((0, 1, 2, 3), (3, 0)) == (3, 0, 1, 2)
    assert arranged((0, 1, 2), (2, 1)) == (0, 2, 1)
