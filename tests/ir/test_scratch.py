"""Weights that a pass made lie in a file until they are written."""

from __future__ import annotations

import errno
import gc
import os

import ml_dtypes
import numpy as np
import onnx
import pytest

import graphopt
from graphopt.errors import OutputError
from graphopt.ir.scratch import LEAST, Scratch
from graphopt.ir.types import Constant
from tests.support import proto

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, ml_dtypes.uint4, np.float16])
def test_what_was_put_in_comes_out(dtype):
    scratch, arrays = Scratch(), [RNG.integers(0, 15, (LEAST + 3, 3)).astype(dtype) for _ in range(3)]
    held = [scratch.put(array) for array in arrays]
    for array, one in zip(arrays, held, strict=True):
        assert not isinstance(one, np.ndarray)
        assert (one.dtype, one.shape) == (array.dtype, array.shape)
        assert np.array_equal(one.load(), array)


def test_small_arrays_stay_where_they_are():
    array = np.ones(4, np.float32)
    assert Scratch().put(array) is array


@pytest.mark.parametrize("external", [False, True])
def test_models_are_written_from_it(tmp_path, external):
    model = graphopt.load(
        proto("agraph (float[N, 256] x) => (float[N, 256] y) { y = MatMul(x, w) }", {"w": (256, 256)})
    )
    (weight,) = [tensor for tensor in model.graph.initializers if isinstance(tensor, Constant)]
    expected = weight.values * 2
    weight.values = Scratch().put(expected)
    gc.collect()
    graphopt.save(model, tmp_path / "m.onnx", external_data=external)
    written = onnx.load(tmp_path / "m.onnx").graph.initializer[0]
    assert np.array_equal(onnx.numpy_helper.to_array(written), expected)


def test_what_rewrites_make_lies_there_once_it_is_much(monkeypatch):
    x, w = graphopt.Value("x"), graphopt.Const("w")

    @graphopt.rule(graphopt.op.MatMul(x, w), numerics=graphopt.Close(64))
    def doubled(m, new):
        m.require(m[w].max() == 1, "done")
        return new.Mul(new.MatMul(m[x], m[w] * 2), np.array(0.5, np.float32))

    text = "agraph (float[N, 256] x) => (float[N, 256] y) { a = MatMul(x, v) y = MatMul(a, w) }"
    model = proto(text, {name: np.ones((256, 256), np.float32) for name in "vw"})
    usual = graphopt.optimize(model, passes=[doubled]).model
    monkeypatch.setattr("graphopt.pipeline.context.MADE", 1 << 18)
    result = graphopt.optimize(model, passes=[doubled]).model
    held = [t.stored for t in result.graph.tensors().values() if isinstance(t, Constant) and t.nbytes >= LEAST]
    assert sorted(isinstance(one, np.ndarray) for one in held) == [False, True]
    assert result.to_proto() == usual.to_proto()


def test_the_file_goes_with_the_last_tensor():
    scratch = Scratch()
    held, descriptor = scratch.put(np.zeros(LEAST, np.float32)), scratch.fd
    del scratch
    gc.collect()
    assert os.fstat(descriptor).st_size == 4 * LEAST
    del held
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_view_outlives_the_scratch():
    held = Scratch().put(np.arange(LEAST, dtype=np.float32))
    view = held.load()
    del held
    gc.collect()
    assert view[-1] == LEAST - 1


def test_a_full_disk_is_told(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OutputError, match=r"cannot be kept in .*: No space left on device"):
        Scratch().put(np.zeros(LEAST, np.float32))
