import numpy as np
import pytest

from graphopt.analysis import Shapes, default_binding
from graphopt.analysis.binding import bindings
from graphopt.ir.reader import load
from tests.support import proto


def binding_of(text, weights=None, **options):
    return default_binding(load(proto(text, weights)), **options)


def test_small_distinct_numbers():
    text = "g (float[batch, seq, 8] x, int64[batch] i) => (float y) { y = Relu(x) }"
    assert binding_of(text) == {"batch": 2, "seq": 3}
    assert binding_of(text, first=5) == {"batch": 5, "seq": 6}
    assert binding_of(text, avoid={"batch": 2, "seq": 4}) == {"batch": 3, "seq": 5}


@pytest.mark.parametrize(
    ("text", "weights", "holds"),
    [
        ("y = Reshape(x, s)", {"s": [0, 3, 8, -1]}, lambda b: b["h"] * b["w"] % 8 == 0),
        ("a = MaxPool<kernel_shape = [4, 4], strides = [4, 4]>(x) y = Relu(a)", {}, lambda b: min(b["h"], b["w"]) >= 4),
        ("a = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x) c = Resize(a, , s) y = Add(c, x)",
         {"s": np.float32([1, 1, 2, 2])}, lambda b: b["h"] % 2 == 0 == b["w"] % 2),
        ("a = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x) c = Resize(a, , s) y = Concat<axis = 1>(c, x)",
         {"s": np.float32([1, 1, 2, 2])}, lambda b: b["h"] % 2 == 0 == b["w"] % 2),
        ("y = MatMul(x, k)", {"k": (7, 5)}, lambda b: b["w"] == 7),
    ],
    ids=["division", "window", "addition", "concatenation", "product"],
)  # fmt: skip
def test_numbers_grow_until_the_model_fits(text, weights, holds):
    found = binding_of(f"g (float[n, 3, h, w] x) => (float y) {{ {text} }}", weights)
    assert holds(found), found
    assert len(set(found.values())) == 3


def test_two_bindings_share_no_number():
    model = load(proto("g (float[n, h] x, float[h, k] z) => (float y) { y = MatMul(x, z) }"))
    first, second = bindings(model, Shapes(model))
    assert first.keys() == second.keys() == {"n", "h", "k"}
    assert all(first[name] != second[name] for name in first)
    fixed = load(proto("g (float[2, 3] x) => (float y) { y = Relu(x) }"))
    assert bindings(fixed) == [{}]


def test_the_second_binding_has_the_size_at_which_dimensions_get_lost():
    free = load(proto("g (float[n, h] x) => (float y) { y = Relu(x) }"))
    assert bindings(free) == [{"n": 3, "h": 4}, {"n": 1, "h": 2}]
    halved = "g (float[n, 4] x) => (float y) { a, b = Split <axis = 0, num_outputs = 2> (x) y = Add(a, b) }"
    first, second = bindings(load(proto(halved)))
    assert first["n"] != second["n"]


def test_the_impossible_ends():
    found = binding_of("g (float[n, n] x) => (float y) { y = MatMul(x, v) }", {"v": (4, 5)}, avoid={"n": 4})
    assert found == {"n": 2}


def test_a_length_that_is_a_sum_stays_small():
    text = """g (float[b, p, 8] past, float[b, s, 8] x, float[b, t, 1] mask) => (float[b, t, 8] y) {
        all = Concat<axis = 1>(past, x) y = Add(all, mask) }"""
    assert binding_of(text) == {"b": 2, "p": 3, "s": 4, "t": 7}
    assert binding_of(text.replace("Add(all, mask)", "Add(mask, all)"), first=4) == {"b": 4, "p": 5, "s": 6, "t": 11}


def test_a_dimension_that_meets_another_length_has_no_second_number():
    text = "g (float[N,4] x, float[4,N] y) => (float[?,?] z) { z = Add(x, y) }"
    (only,) = bindings(load(proto(text)))
    assert only == {"N": 4}
