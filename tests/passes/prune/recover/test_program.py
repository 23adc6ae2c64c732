"""Parts of a model run, whatever is asked for from inside it."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.ir.reader import load
from passes.prune.recover.program import Program
from tests.support import proto

NET = """g (float[n, 3, 8, 8] x) => (float z) {
    a = Conv<pads = [1, 1, 1, 1]>(x, first)
    r = Relu(a)
    y = Conv<pads = [1, 1, 1, 1]>(r, second)
    d = Conv(r, short)
    p = Add(y, d)
    z = Relu(p)
}"""


@pytest.mark.parametrize("width", [16, 23])
def test_a_convolution_is_given_though_a_sum_reads_it(width: int) -> None:
    shapes = {"first": (width, 3, 3, 3), "second": (12, width, 3, 3), "short": (12, width, 1, 1)}
    program = Program(load(proto(NET, shapes)))
    with program.session(["y", "d", "p"]) as session:
        found = session.run({"x": np.ones((2, 3, 8, 8), np.float32)})
    assert found["p"] == pytest.approx(found["y"] + found["d"], abs=1e-5)
