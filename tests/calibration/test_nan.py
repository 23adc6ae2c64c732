"""Values that are not finite are noticed, wherever they stand in a tensor."""

import numpy as np
import pytest

from graphopt.calibration.ranges import ranges
from graphopt.data.opening import open_data
from graphopt.ir.reader import load
from tests.support import proto

NET = "net (float[N, 100] x) => (float[N, 100] y) { a = Log (x)\n y = Exp (a) }"


@pytest.mark.parametrize("wrong", [-1.0, 0.0], ids=["nan", "infinite"])
@pytest.mark.parametrize("place", [0, 37, 99, slice(None)])
def test_one_value_that_is_not_finite_is_enough(place, wrong, tmp_path):
    x = np.ones((4, 100), np.float32)
    x[2 if isinstance(place, int) else place, place] = wrong
    np.savez(tmp_path / "x.npz", x=x)
    model = load(proto(NET))
    logarithm = model.graph.nodes[0].outputs[0]
    found = ranges(model, open_data(tmp_path / "x.npz", model), [logarithm], "minmax")
    assert found.skipped == {logarithm: "it holds values that are not finite"}
