import numpy as np

from passes.fold import FOLD
from passes.fold.slice_end import slice_end
from tests.support import fires, refuses

NUMBERS = {"zero": np.array([0]), "one": np.array([1]), "two": np.array([2])}
END = "s = Shape(x) t = Gather(s, one)"


def used(*names):
    return {name: NUMBERS[name] for name in names}


def test_the_end_of_the_dimension():
    text = f"g (float[B, T] x) => (float[B, U] y) {{ {END} y = Slice(x, two, t, one) }}"
    model = fires(FOLD, text, used("one", "two"), leaves=["Slice"])
    assert model.graph.nodes[0].inputs[2].values.tolist() == [2**63 - 1]


def test_everything():
    text = f"g (float[B, T] x) => (float[B, T] y) {{ {END} a = Slice(x, zero, t, one, one) y = Relu(a) }}"
    fires(FOLD, text, used("zero", "one"), leaves=["Relu"])


def test_axes_are_those_of_the_slice():
    text = f"g (float[B, T] x) => (float[U, T] y) {{ {END} y = Slice(x, zero, t, zero) }}"
    refuses(slice_end, text, used("zero", "one"), reason="neither known")


def test_steps_backwards():
    text = f"g (float[B, T] x) => (float[B, U] y) {{ {END} y = Slice(x, zero, t, one, back) }}"
    refuses(slice_end, text, {**used("zero", "one"), "back": np.array([-1])}, reason="steps")


def test_starts_that_are_not_known():
    text = (
        "g (float[B, T] x, int64[1] i) => (float[B, U] y) { s = Shape(x) t = Gather(s, one) y = Slice(x, i, t, one) }"
    )
    refuses(slice_end, text, used("one"), reason="unknown")


def test_other_dimensions():
    text = "g (float[B, T] x, float[U] z) => (float[B, V] y) { t = Shape(z) y = Slice(x, zero, t, one) }"
    refuses(slice_end, text, used("zero", "one"), reason="neither known")


def test_axes_that_go_without_saying():
    text = "g (float[B] x) => (float[C] y) { t = Shape(x) y = Slice(x, one, t) }"
    model = fires(slice_end, text, used("one"), leaves=["Shape", "Slice"])
    assert [tensor.values.tolist() for tensor in model.graph.nodes[-1].inputs[1:]] == [[1], [2**63 - 1], [0]]
