"""What data knows of a model: which axis holds samples, and whether two models can be fed the same."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.data.batch import Batch, regrouped
from graphopt.data.interface import interface, same_inputs
from graphopt.errors import ModelError, UsageError
from graphopt.ir.reader import load
from tests.data.models import taking
from tests.support import proto


def of(text):
    return interface(load(proto(text)))


@pytest.mark.parametrize(
    ("inputs", "batched", "batch"),
    [
        ("float[n, 4] x", True, None),
        ("float[3, 4] x", True, 3),
        ("float[n, 4] x, float[n, 2] z", True, None),
        ("float[n, 4] x, float[3, 2] z", True, 3),
        ("float[n, 4] x, float s", False, 1),
        ("float[2, 4] x, float[3, 4] z", False, 1),
        ("float[n, 4] x, float[2, n] state", False, 1),
        ("float[n, n] square", True, None),
    ],
)
def test_the_first_axis_holds_samples_if_it_does_so_in_every_input(inputs, batched, batch):
    found = of(f"agraph ({inputs}) => (float[m, 4] y) <float[1, 4] y = {{1, 2, 3, 4}}> {{ }}")
    assert (found.batched, found.batch) == (batched, batch)


def test_names_that_exporters_write_for_any_size_are_no_names():
    found = of("agraph (float[None, 4] x, float[None, 2] z) => (float[None, 4] y) { y = Relu(x) }")
    assert [port.shape for port in found.inputs] == [(None, 4), (None, 2)]


def test_inputs_with_defaults_are_optional():
    found = of("agraph (float[n, 4] x) => (float[n, 4] y) <float[4] w = {1, 2, 3, 4}> { y = Mul(x, w) }")
    assert [port.name for port in found.required] == ["x"]


def test_inputs_that_are_no_tensors_cannot_come_from_data():
    with pytest.raises(ModelError, match="input 's' is no tensor"):
        of("agraph (seq(float[n]) s) => (float[n] y) { y = ConcatFromSequence <axis = 0> (s) }")


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (taking(("x", ("n", 4))), taking(("x", (1, 4))), None),
        (taking(("x", ("n", 4))), taking(("x", ("n", "k"))), None),
        (
            taking(("x", ("n", 4))),
            taking(("x", ("n", 5))),
            r"input 'x' is float32 'x' \[n, 4\] in m.onnx and float32 'x' \[n, 5\]",
        ),
        (
            taking(("x", ("n", 4))),
            taking(("x", ("n", 4), np.float64)),
            "is float32 .* and float64 .*: they cannot be fed",
        ),
        (taking(("x", ("n", 4))), taking(("z", ("n", 4))), "has no input 'x', which m.onnx has"),
        (taking(("x", ("n", 4))), taking(("x", ("n", 4)), ("z", ("n", 4))), "needs an input 'z'"),
    ],
)
def test_models_that_are_fed_the_same_data(one, other, said):
    if said is None:
        same_inputs(one, other)
        return
    with pytest.raises(UsageError, match=said):
        same_inputs(one, other)


def test_chunks_are_regrouped_without_losing_a_sample():
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 7, 50):
        cuts = np.split(np.arange(40), np.sort(rng.integers(1, 40, 9)))
        chunks = [{"x": part} for part in cuts if len(part)]
        found = [chunk["x"] for chunk in regrouped(chunks, size)]
        assert np.concatenate(found).tolist() == list(range(40))
        assert {len(part) for part in found[:-1]} <= {size}
        assert len(found[-1]) <= size


def test_outputs_without_an_axis_for_samples_need_a_batch_of_one():
    batch = Batch({"x": np.zeros((2, 4))}, None, 2)
    with pytest.raises(UsageError, match=r"output 'y' has the shape \[5\] for 2 samples.*\(batch 1\)"):
        batch.outputs({"y": np.zeros(5)})
    one = Batch({"x": np.zeros((1, 4))}, None, 1)
    assert one.outputs({"y": np.zeros(5), "z": np.zeros((1, 5)), "s": np.zeros(())})["y"].shape == (1, 5)
