from __future__ import annotations

import os

import ml_dtypes
import numpy as np
import pytest

from graphopt.numerics.sharing import INLINE, KEPT, Placed, Shared

BIG = INLINE + 1


@pytest.fixture
def ends():
    sender = Shared()
    yield sender, Shared(sender.descriptor)
    os.close(sender.descriptor)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, ml_dtypes.bfloat16, ml_dtypes.int4, np.bool_])
def test_large_arrays_travel_in_the_file(ends, dtype):
    sender, receiver = ends
    array = np.resize(np.arange(7) % 2, (3, BIG)).astype(dtype)
    message = sender.put({"a": [array, array.T], "b": (1, "text", None)})
    assert isinstance(message["a"][0], Placed)
    found = receiver.take(message)
    assert found["b"] == (1, "text", None)
    assert found["a"][0].dtype == dtype
    assert (found["a"][0] == array).all()
    assert (found["a"][1] == array.T).all()
    assert not found["a"][0].flags.writeable


def test_large_byte_strings_travel_in_the_file(ends):
    sender, receiver = ends
    data = os.urandom(3 * BIG)
    message = sender.put((data, b"short"))
    assert isinstance(message[0], Placed)
    assert receiver.take(message) == (data, b"short")


def test_small_values_and_text_travel_in_the_message(ends):
    sender, _ = ends
    small, text = np.zeros(4), np.array(["x" * 10] * BIG, object)
    assert all(sent is given for sent, given in zip(sender.put([small, text]), [small, text], strict=True))


def test_copies_stay_when_the_file_is_used_again(ends):
    sender, receiver = ends
    found = receiver.take(sender.put(np.full(BIG, 1.0)), copy=True)
    sender.clear()
    sender.put(np.full(BIG, 2.0))
    assert set(found.tolist()) == {1.0}


def test_a_large_file_is_emptied(ends):
    sender, receiver = ends
    assert receiver.take(sender.put(np.ones(KEPT, np.uint8)), copy=True).sum() == KEPT
    receiver.take(sender.put(np.ones(BIG, np.uint8)))
    sender.clear()
    assert os.fstat(sender.descriptor).st_size == 0
    assert receiver.take(sender.put(np.ones(BIG, np.uint8))).sum() == BIG
