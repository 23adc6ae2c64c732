import pytest

from passes.clean import same_shape
from tests.support import fires, refuses

KEPT = [
    "Reshape(r, whole)",
    "Reshape(r, copied)",
    "Expand(r, ones)",
    "Tile(r, ones)",
    "Flatten<axis=1>(r)",
    "Unsqueeze(r, none)",
]


@pytest.mark.parametrize("call", KEPT)
def test_the_shape_stays(call):
    text = f"""m (float[N, 6] x) => (float[N, 6] y)
    <int64[2] whole = {{-1, 6}}, int64[2] copied = {{0, 0}}, int64[2] ones = {{1, 1}}, int64[0] none = {{}}> {{
        r = Relu(x)
        y = {call}
    }}"""
    fires(same_shape, text, leaves=["Relu"])


def test_a_squeeze_of_no_axes_is_one_of_all():
    text = "m (float[{}, 6] x) => (float[A, B] y) <int64[0] none = {{}}> {{ r = Relu(x)  y = Squeeze(r, none) }}"
    fires(same_shape, text.format(2), leaves=["Relu"])
    refuses(same_shape, text.format("N"), reason="unknown")


def test_a_computed_shape():
    text = "m (float[N, C] x) => (float[N, C] y) { s = Shape(x)  r = Relu(x)  y = Reshape(r, s) }"
    fires(same_shape, text, leaves=["Relu", "Shape"])


def test_expand_to_a_smaller_shape():
    text = "m (float[3, 4] x) => (float[3, 4] y) <int64[1] s = {4}> { r = Relu(x)  y = Expand(r, s) }"
    fires(same_shape, text, leaves=["Relu"])


CHANGED = ["Reshape(r, flat)", "Expand(r, twice)", "Tile(r, twice)", "Flatten<axis=2>(r)", "Unsqueeze(r, zero)"]


@pytest.mark.parametrize("call", CHANGED)
def test_not_if_the_shape_changes(call):
    text = f"""m (float[1, 6] x) => (float z)
    <int64[2] flat = {{6, 1}}, int64[2] twice = {{2, 1}}, int64[1] zero = {{0}}> {{
        r = Relu(x)
        y = {call}
        z = ReduceSum<keepdims=0>(y)
    }}"""
    refuses(same_shape, text, reason="the shape changes")


def test_not_if_a_length_is_unknown():
    text = "m (float[N, 6] x, int64[2] s) => (float[A, B] y) { r = Relu(x)  y = Reshape(r, s) }"
    refuses(same_shape, text, reason="unknown")


def test_not_if_only_the_product_is_the_same():
    text = """m (float[N, M] x) => (float[M, N] y) {
        a = Shape<start=1>(x)  b = Shape<end=1>(x)
        s = Concat<axis=0>(a, b)  y = Reshape(x, s) }"""
    refuses(same_shape, text, reason="the shape changes")
