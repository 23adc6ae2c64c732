"""Arrays as the bytes that go into a file."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from graphopt.ir.storage import TILE, encode


@pytest.mark.parametrize(
    "dtype", [np.float32, np.int64, np.bool_, ml_dtypes.bfloat16], ids=lambda dtype: dtype.__name__
)
@pytest.mark.parametrize("shape", [(0, 5), (1, TILE), (3, 2 * TILE + 1), (TILE, TILE), (2 * TILE + 5, TILE - 1)])
def test_a_matrix_has_the_same_bytes_in_whatever_order_it_lies(shape, dtype):
    array = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    lying = array, np.asfortranarray(array), np.repeat(array, 2, axis=1)[:, ::2], array[::-1][::-1]
    assert {encode(one).tobytes() for one in lying} == {array.tobytes()}
