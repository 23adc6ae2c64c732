import numpy as np
import pytest

from passes.canonical import add_chain, add_chain_integers, mul_chain, mul_chain_integers
from tests.support import fires, refuses


def text(op, dtype="float", shape="N, 3", outputs=""):
    return f"m ({dtype}[{shape}] x) => ({dtype}[{shape}] y{outputs}) {{ p = {op}(x, a)  y = {op}(b, p) }}"


def both(a, b, dtype=np.float32):
    return {"a": np.array(a, dtype), "b": np.array(b, dtype)}


@pytest.mark.parametrize(("a", "b"), [(1.5, 2.5), ([1.0, 2.0, 3.0], 4.0), (-1.0, [[-2.0, -3.0, 0.25]]), (2.0, -1.0)])
def test_summands(a, b):
    model = fires(add_chain, text("Add"), both(a, b), leaves=["Add"])
    assert np.array_equal(model.graph.nodes[0].inputs[1].values, np.float32(a) + np.float32(b))


@pytest.mark.parametrize(("a", "b"), [(1e8, -1e8), ([1.0, 1.0, 1.0], [1.0, -0.6, 1.0])])
def test_not_summands_that_cancel(a, b):
    refuses(add_chain, text("Add"), both(a, b), reason="cancel")


@pytest.mark.parametrize("op", ["Add", "Mul"])
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_integers(op, dtype):
    what = add_chain_integers if op == "Add" else mul_chain_integers
    fires(what, text(op, dtype), both([100, 3, 0], 120, dtype), leaves=[op])


def test_not_floats_as_integers():
    refuses(add_chain_integers, text("Add"), both(1, 2), reason="no integers")
    refuses(mul_chain_integers, text("Mul"), both(1, 2), reason="no integers")
    refuses(add_chain, text("Add", "int64"), both(1, 2, np.int64), reason="not floating")


@pytest.mark.parametrize(("a", "b"), [(1.5, 2.5), ([1.0, 2.0, 3.0], -4.0), (0.3, 1 / 0.3), (2.0**31, 1.5)])
def test_factors(a, b):
    fires(mul_chain, text("Mul"), both(a, b), leaves=["Mul"])


@pytest.mark.parametrize("dtype", ["float16", "double"])
def test_factors_of_other_types(dtype):
    kind = np.float16 if dtype == "float16" else np.float64
    fires(mul_chain, text("Mul", dtype), both(1.5, 0.7, kind), leaves=["Mul"])


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (1e30, 1e-30), (1e-20, 1e20), (np.inf, 1.0), (2.0**32, 0.5)])
def test_not_extreme_factors(a, b):
    refuses(mul_chain, text("Mul"), both(a, b), reason="very small or very large")


def test_not_if_the_constants_together_are_larger():
    weights = {"a": np.ones((4, 1), np.float32), "b": np.ones((1, 5), np.float32)}
    refuses(add_chain, text("Add", shape="4, 5"), weights, reason="larger")
    refuses(mul_chain, text("Mul", shape="4, 5"), weights, reason="larger")


@pytest.mark.parametrize("what", [add_chain, mul_chain])
def test_not_if_the_middle_is_returned(what):
    op = "Add" if what is add_chain else "Mul"
    refuses(what, text(op, outputs=", float[N, 3] p"), both(1.5, 2.5))
