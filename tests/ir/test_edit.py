"""Changes that are no rewrites."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.ir.edit import Editor
from graphopt.ir.reader import load
from tests.support import proto

TEXT = "g (float[N, 2] x) => (float[N, 2] y) { y = MatMul (x, w) }"


def test_a_constant_gets_other_values_of_its_kind():
    model = load(proto(TEXT, {"w": np.zeros((2, 2), np.float32)}))
    editor, (held,) = Editor(model), model.graph.initializers
    editor.assign(held, np.ones((2, 2), np.float32))
    assert editor.revision == 1
    assert editor.changed == [model.graph.nodes[0]]
    np.testing.assert_array_equal(held.values, 1)


@pytest.mark.parametrize("values", [np.ones((2, 3), np.float32), np.ones((2, 2))], ids=["shape", "dtype"])
def test_values_of_another_kind_are_refused(values):
    model = load(proto(TEXT, {"w": np.zeros((2, 2), np.float32)}))
    editor, (held,) = Editor(model), model.graph.initializers
    with pytest.raises(ValueError, match="not float"):
        editor.assign(held, values)
    np.testing.assert_array_equal(held.values, 0)
    assert editor.revision == 0
