"""What a hunt finds is made small: nothing is left that the fault does not need."""

import numpy as np
import onnx

from tests.bench.shrink import shrunk
from tests.laws.random_graphs import Case
from tests.support import operators, proto


def has_neg(case):
    return operators(case.model)["Neg"] > 0


def test_a_fault_keeps_only_what_it_needs():
    model = proto(
        "g (float[N] x, float[N] z) => (float[N] y, float[N] u, float[N] w) <float[1] c = {2.0}> {"
        " a = Relu(x) b = Mul(a, c) d = Neg(b) y = Add(d, z) u = Exp(z) w = Sigmoid(u) }"
    )
    feeds = tuple({"x": np.ones(n, np.float32), "z": np.ones(n, np.float32)} for n in (2, 3))
    small = shrunk(Case(model, (feeds[0], feeds[1])), has_neg)
    assert operators(small.model) == {"Neg": 1, "Identity": 1}
    assert [value.name for value in small.model.graph.input] == ["x"]
    assert not small.model.graph.initializer
    assert small.feeds[1].keys() == {"x"}
    onnx.checker.check_model(small.model, full_check=True)
