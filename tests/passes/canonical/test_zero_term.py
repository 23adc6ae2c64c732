from __future__ import annotations

import numpy as np
import pytest

from passes.canonical.zero_term import zero_term
from tests.support import fires, refuses

TEXT = "agraph (float[N, 3] x) => (float[N, 3] y) {{ a = Relu(x) b = {} y = Sigmoid(b) }}"


@pytest.mark.parametrize("spelling", ["Add(a, z)", "Add(z, a)", "Sub(a, z)"])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3)])
def test_a_zero_term_goes(spelling, shape):
    fires(zero_term, TEXT.format(spelling), {"z": np.zeros(shape, np.float32)}, leaves=["Relu", "Sigmoid"])


def test_nothing_is_subtracted_from_zero():
    refuses(zero_term, TEXT.format("Sub(z, a)"), {"z": np.zeros(3, np.float32)})


def test_one_element_that_is_not_zero_counts():
    refuses(zero_term, TEXT.format("Add(a, z)"), {"z": np.array([0, 0, 1e-30], np.float32)}, reason="not zero")


def test_zeros_that_enlarge_the_result_stay():
    text = "agraph (float[1, 3] x) => (float[4, 3] y) { a = Relu(x) y = Add(a, z) }"
    refuses(zero_term, text, {"z": np.zeros((4, 3), np.float32)}, reason="broadcasts")


def test_a_sum_that_the_graph_returns_keeps_its_name():
    text = "agraph (float[3] x) => (float[3] y) { a = Relu(x) y = Add(a, z) }"
    model = fires(zero_term, text, {"z": np.zeros(3, np.float32)}, leaves=["Relu"])
    assert [tensor.name for tensor in model.graph.outputs] == ["y"]


def test_large_constants_are_not_looked_at():
    text = "agraph (float[N, M] x) => (float[N, M] y) { a = Relu(x) b = Add(a, z) y = Sigmoid(b) }"
    most = {"z": np.zeros(65536, np.float32)}
    fires(zero_term, text.replace("M", "65536"), most, leaves=["Relu", "Sigmoid"])
    larger = {"z": np.zeros(65537, np.float32)}
    refuses(zero_term, text.replace("M", "65537"), larger, reason="the constant is large")
