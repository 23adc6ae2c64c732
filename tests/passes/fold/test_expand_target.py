import numpy as np

from passes.fold import FOLD
from passes.fold.expand_target import expand_target
from tests.support import fires, refuses

INDICES = {"zero": np.array([0]), "one": np.array([1])}


def test_what_keeps_the_shape_goes():
    fires(FOLD, "g (float[B, T] x) => (float[B, T] y) { s = Shape(x) e = Expand(x, s) y = Relu(e) }", leaves=["Relu"])


def test_free_dimensions_that_stay():
    text = """g (float[B, 1, 4] x) => (float[B, 3, 4] y) {
        s = Shape(x) b = Gather(s, zero) u = Concat<axis=0>(b, three, four) y = Expand(x, u)
    }"""
    weights = {"three": np.array([3]), "four": np.array([4]), **INDICES}
    model = fires(FOLD, text, weights, leaves=["Expand"])
    assert next(t for n in model.graph.nodes for t in n.inputs[1:]).values.tolist() == [1, 3, 1]


def test_the_chain_that_torch_writes_for_minus_one():
    text = """g (float[B, 1, 4] x) => (float[B, 3, 4] y) {
        s = Shape(x) b = Gather(s, zero) u = Concat<axis=0>(b, three, minus) n = Shape(u)
        ones = ConstantOfShape<value = int64[1] {1}>(n) m = Mul(ones, minus) e = Equal(u, m)
        w = Where(e, ones, u) y = Expand(x, w)
    }"""
    fires(FOLD, text, {"three": np.array([3]), "minus": np.array([-1]), **INDICES}, leaves=["Expand"])


def test_expanding_to_a_free_dimension_stays_computed():
    text = (
        "g (float[1, 4] x, float[B] z) => (float[B, 4] y) { b = Shape(z) u = Concat<axis=0>(b, four) y = Expand(x, u) }"
    )
    refuses(expand_target, text, {"four": np.array([4])}, reason="not known")


def test_a_dimension_that_may_be_broadcast_stays_computed():
    text = (
        "g (float[A, 4] x, float[B] z) => (float[C, 4] y) { b = Shape(z) u = Concat<axis=0>(b, four) y = Expand(x, u) }"
    )
    refuses(expand_target, text, {"four": np.array([4])}, reason="not known")


def test_what_has_unknown_many_dimensions_stays_computed():
    text = "g (float[N] x, int64[K] s, int64[M] t) => (y) { e = Reshape(x, s) u = Abs(t) y = Expand(e, u) }"
    refuses(expand_target, text, reason="the ranks are unknown")
    text = "g (float[N] x, int64[M] t) => (y) { u = Abs(t) y = Expand(x, u) }"
    refuses(expand_target, text, reason="the ranks are unknown")
