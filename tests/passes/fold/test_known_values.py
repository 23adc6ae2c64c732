import numpy as np
import pytest

from passes.fold import FOLD
from tests.passes.fold.test_evaluate import constants
from tests.support import apply, fires, operators


def test_the_shape_of_a_tensor_of_known_shape():
    model = fires(FOLD, "g (float[2, 3] x) => (int64[2] y) { a = Relu(x) s = Shape(a) y = Add(s, s) }",
                  leaves=["Constant"])  # fmt: skip
    assert constants(model)["y"].tolist() == [4, 6]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [("", [2, 3, 4]), ("<start=1>", [3, 4]), ("<end=-1>", [2, 3]), ("<start=-2, end=2>", [3])],
)
def test_parts_of_shapes(attributes, expected):
    model = fires(
        FOLD,
        f"g (float[2, 3, 4] x, int64[K] z) => (int64[K] y) {{ s = Shape{attributes}(x) y = Concat<axis=0>(z, s, s) }}",
        leaves=["Concat"],
    )
    assert constants(model)["s"].tolist() == expected


def test_the_shape_of_nothing_is_empty():
    result = apply(
        FOLD, "g (float[2] x, int64[K] z) => (int64[K] y) { s = Shape<start=5>(x) y = Concat<axis=0>(z, s) }"
    )
    assert operators(result.model) == {"Concat": 1}
    assert constants(result.model)["s"].shape == (0,)
    assert not result.report.rolled_back


def test_known_dimensions_beside_free_ones():
    text = """g (float[N, 3, 8] x) => (float[N, 3, 8] y) {
        s = Shape(x) i = Constant<value_int=2>() d = Gather(s, i) f = Cast<to=1>(d) r = Sqrt(f) y = Div(x, r)
    }"""
    model = fires(FOLD, text, leaves=["Div"])
    assert constants(model)["r"].tolist() == np.sqrt(np.float32(8))


def test_free_dimensions_stay_computed():
    text = "g (float[N, 3] x) => (int64 y) { s = Shape(x) i = Constant<value_int=0>() y = Gather(s, i) }"
    assert operators(apply(FOLD, text).model) == {"Shape": 1, "Gather": 1}


def test_a_squeeze_of_no_axes_is_one_of_all():
    text = "g (float[N, 7] x) => (int64 y) { s = Shape<start = 1>(x) n = Squeeze(s, none) y = Mul(n, n) }"
    model = fires(FOLD, text, {"none": np.array([], np.int64)}, leaves=["Constant"])
    assert constants(model)["y"].tolist() == 49


def test_sizes():
    model = fires(FOLD, "g (float[4, 5] x, int64 z) => (int64 y) { n = Size(x) y = Add(z, n) }", leaves=["Add"])
    assert constants(model)["n"].tolist() == 20


def test_the_shape_of_an_overridable_initializer_is_known_and_its_values_are_not():
    model = apply(
        FOLD, "g (float[2] x, float[2] w) => (int64[1] y, float[2] z) { y = Shape(w) z = Add(x, w) }", {"w": (2,)}
    ).model
    assert operators(model) == {"Constant": 1, "Add": 1}


def test_chains_that_torch_writes_for_floor_division():
    text = """g (float[N, 7] x) => (float[N, K] y) {
        s = Shape(x) i = Constant<value_int=1>() d = Gather(s, i) two = Constant<value_int=2>()
        q = Div(d, two) c = Cast<to=7>(q) e = Cast<to=7>(c) u = Unsqueeze(e, zero)
        y = Slice(x, zero, u, one)
    }"""
    model = fires(FOLD, text, {"zero": np.array([0]), "one": np.array([1])}, leaves=["Slice"])
    assert constants(model)["u"].tolist() == [3]


def test_truncation_in_the_middle():
    text = """g (float[N, 7] x) => (int64 y) {
        s = Shape(x) i = Constant<value_int=1>() d = Gather(s, i) f = Cast<to=1>(d) h = Constant<value_float=0.5>()
        m = Mul(f, h) y = Cast<to=7>(m)
    }"""
    assert constants(fires(FOLD, text, leaves=["Constant"]))["y"].tolist() == 3


def test_large_known_values_stay_computed():
    text = """g (float[100, 100] x) => (int64[N] y) {
        n = Size(x) z = Constant<value_int=0>() o = Constant<value_int=1>() r = Range(z, n, o) y = Neg(r)
    }"""
    assert operators(apply(FOLD, text).model) == {"Range": 1, "Neg": 1}


def test_inside_a_body_that_reads_outer_tensors():
    text = """g (bool c, float[3, 5] x) => (float[K] y) {
        y = If (c) <then_branch = t () => (float[A] p) { s = Shape(x) p = Cast<to=1>(s) },
                    else_branch = e () => (float[B] q) { q = ReduceSum<keepdims=0>(x, one) }>
    }"""
    model = fires(FOLD, text, {"one": np.array([1])}, leaves=["If"])
    assert constants(model) is not None
    branches = [graph for node in model.graph.nodes for graph in node.attrs.values()]
    assert [[node.op for node in graph.nodes] for graph in branches] == [["Constant"], ["ReduceSum"]]


def test_the_other_parts_of_a_split_stay_whole():
    """A part of a Split cannot be omitted: ONNX Runtime crashes where one has no name."""
    text = "g (float[3, N, N] x) => (int64[1] a, int64[2] b) { s = Shape(x) a, b = Split(s, parts) }"
    model = fires("fold", text, {"parts": np.array([1, 2])}, leaves=["Shape", "Split", "Constant"])
    (split,) = [node for node in model.graph.nodes if node.op == "Split"]
    assert all(tensor.name for tensor in split.outputs)
