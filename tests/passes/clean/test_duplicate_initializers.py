import ml_dtypes
import numpy as np
import onnx
import pytest

import graphopt
from graphopt.ir.joined import Joined
from graphopt.ir.reader import load
from graphopt.ir.types import Constant
from graphopt.pipeline.context import Context
from passes.clean.duplicate_initializers import duplicate_initializers
from tests.support import fires, proto, refuses

STEP = "clean:only=duplicate_initializers"
TEXT = "m (float[N, 4] x) => (float[N, 4] y) { p = Add(x, a)  y = Mul(p, b) }"
FOUR = np.arange(4, dtype=np.float32)


def test_equal_ones_are_one():
    model = fires(STEP, TEXT, {"a": FOUR, "b": FOUR}, leaves=["Add", "Mul"])
    assert [held.name for held in model.graph.initializers] == ["a"]


def test_strings():
    text = "m (string[N] x) => (string[M] y) { p = Concat<axis=0>(x, a)  y = Concat<axis=0>(p, b) }"
    words = np.array(["a", "b"], object)
    model = fires(STEP, text, {"a": words, "b": words}, leaves=["Concat", "Concat"])
    assert len(model.graph.initializers) == 1


def test_int4():
    text = "m (float[N, 2] x) => (float[N, 2] y) { p = Cast<to=1>(a)  q = Cast<to=1>(b)  r = Mul(x, p)  y = Add(r, q) }"
    packed = np.array([1, -2], ml_dtypes.int4)
    model = fires(STEP, text, {"a": packed, "b": packed}, leaves=["Cast", "Cast", "Mul", "Add"])
    assert len(model.graph.initializers) == 1


@pytest.mark.parametrize(
    "other",
    [FOUR.astype(np.float64).astype(np.float32) + 1, FOUR.reshape(1, 4), np.where(FOUR, FOUR, np.float32(-0.0))],
)
def test_not_if_a_value_a_sign_or_the_shape_differs(other):
    refuses(STEP, TEXT, {"a": FOUR, "b": other})


def test_not_if_it_can_be_overridden():
    text = """m (float[4] x, float[4] a = {1, 1, 1, 1}, float[4] b = {1, 1, 1, 1}) => (float[4] y)
        { p = Add(x, a)  y = Mul(p, b) }"""
    refuses(STEP, text)


def test_one_that_is_returned_stays():
    model = fires(STEP, TEXT.replace("4] y)", "4] y, float[4] b)"), {"a": FOUR, "b": FOUR}, leaves=["Add", "Mul"])
    assert [held.name for held in model.graph.initializers] == ["b"]


def test_not_if_both_are_returned():
    refuses(STEP, TEXT.replace("4] y)", "4] y, float[4] a, float[4] b)"), {"a": FOUR, "b": FOUR})


def test_large_ones_in_a_file(tmp_path):
    """Three megabytes each: two differ only in the middle, two are equal, one of them in another field."""
    base = np.random.default_rng(0).standard_normal((3, 1 << 18)).astype(np.float32)
    middle = base.copy()
    middle[1, 5] += 1
    text = "m (float[1] x) => (float[3, 262144] y) { p = Add(x, a)  q = Add(p, b)  r = Add(q, c)  y = Add(r, d) }"
    message = proto(text, {"a": base, "b": middle, "c": base, "d": middle})
    del message.graph.initializer[3:]
    message.graph.initializer.append(
        onnx.TensorProto(name="d", dims=base.shape, data_type=1, float_data=middle.ravel())
    )
    onnx.save(message, tmp_path / "m.onnx")
    result = graphopt.optimize(tmp_path / "m.onnx", passes=STEP)
    assert [held.name for held in result.model.graph.initializers] == ["a", "b"]
    result.model.save(tmp_path / "n.onnx")
    assert (tmp_path / "n.onnx").stat().st_size < 6.1 * (1 << 20)
    assert np.array_equal(load(tmp_path / "n.onnx").graph.initializers[1].values, middle)


def test_of_a_nested_graph_and_an_outer_one():
    text = """m (bool b, float[2] x) => (float[2] y) <float[2] o = {1, 2}> {
        r = Add(x, o)
        y = If(b) <then_branch = t () => (float[2] p) <float[2] i = {1, 2}> { p = Mul(r, i) },
                   else_branch = e () => (float[2] q) <float[2] i2 = {1, 2}> { q = Sub(r, i2) }>
    }"""
    model = fires(STEP, text, leaves=["Add", "If"])
    assert [held.name for held in model.graph.initializers] == ["o"]


def test_not_of_two_branches_that_do_not_see_each_other():
    text = """m (bool b, float[2] x) => (float[2] y) {
        y = If(b) <then_branch = t () => (float[2] p) <float[2] i = {1, 2}> { p = Mul(x, i) },
                   else_branch = e () => (float[2] q) <float[2] i2 = {1, 2}> { q = Sub(x, i2) }>
    }"""
    refuses(STEP, text)


def test_those_that_were_only_moved():
    """Transposed before: equal, different in the middle, and equal to one that lies as it is."""
    base = np.random.default_rng(0).standard_normal((64, 96)).astype(np.float32)
    middle = base.copy()
    middle[32, 48] += 1
    text = """m (float[N, 96] x) => (float[N, 64] y, float[N, 64] z) {
        ta = Transpose(a)  tb = Transpose(b)  tc = Transpose(c)
        p = MatMul(x, ta)  q = MatMul(x, tb)  r = MatMul(x, tc)  s = MatMul(x, d)  y = Sum(p, q, r, s)  z = Neg(y) }"""
    weights = {"a": base, "b": base + 0, "c": middle, "d": np.ascontiguousarray(base.T)}
    result = graphopt.optimize(proto(text, weights), passes=f"fold,{STEP}")
    kept = [held.values for held in result.model.graph.initializers]
    assert sorted(np.array_equal(values, base.T) for values in kept) == [False, True]
    assert sorted(np.array_equal(values, middle.T) for values in kept) == [False, True]


def test_what_is_joined_of_the_same_weights_is_one_and_nothing_else_is_read():
    class Unread(Joined):
        def load(self):
            raise AssertionError

    text = "m (float[N, 8] x) => (float[N, 8] y) { y = Sum(x, a, b, c) }"
    model = load(proto(text, dict.fromkeys("abc", (8,))))
    left, right = Constant("l", FOUR), Constant("r", FOUR + 1)
    made = (Joined([left, right], 0), Joined([left, right], 0), Unread([right, left], 0))
    for held, values in zip(model.graph.initializers, made, strict=True):
        held.values = values
    duplicate_initializers(Context(model))
    assert [tensor.name for tensor in model.graph.nodes[0].inputs] == ["x", "a", "a", "c"]
