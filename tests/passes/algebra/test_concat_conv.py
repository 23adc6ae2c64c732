import pytest

from passes.algebra import concat_conv
from tests.support import fires, refuses


def joined(*convs, axis=1, more=""):
    calls = " ".join(f"a{i} = {conv}" for i, conv in enumerate(convs))
    names = ", ".join(f"a{i}" for i in range(len(convs)))
    header = f"g (float[N,3,8,8] x, float[N,3,8,8] z) => (float[A,B,C,D] y{more})"
    return f"{header} {{ {calls} y = Concat <axis = {axis}> ({names}) }}"


@pytest.mark.parametrize("axis", [1, -3])
def test_branches_become_one(axis):
    text = joined("Conv (x, u, b)", "Conv (x, v, c)", "Conv (x, w, d)", axis=axis)
    held = {"u": (2, 3, 3, 3), "v": (4, 3, 3, 3), "w": (1, 3, 3, 3), "b": (2,), "c": (4,), "d": (1,)}
    model = fires(concat_conv, text, held, leaves=["Conv"])
    assert model.graph.nodes[0].inputs[1].shape == (7, 3, 3, 3)


def test_two_branches_become_one():
    fires(concat_conv, joined("Conv (x, u)", "Conv (x, v)"), {"u": (2, 3, 1, 1), "v": (4, 3, 1, 1)}, leaves=["Conv"])


@pytest.mark.parametrize(
    ("convs", "shapes", "reason"),
    [
        (("Conv (x, u)", "Conv (z, v)"), {"u": (2, 3, 3, 3), "v": (2, 3, 3, 3)}, "more than their weights"),
        (
            ("Conv (x, u)", "Conv <pads = [1,1,1,1]> (x, v)"),
            {"u": (2, 3, 1, 1), "v": (2, 3, 3, 3)},
            "more than their weights",
        ),
        (
            ("Conv (x, u)", "Conv (x, v, b)"),
            {"u": (2, 3, 3, 3), "v": (2, 3, 3, 3), "b": (2,)},
            "more than their weights",
        ),
        (
            ("Conv <pads = [1,1,1,1]> (x, u)", "Conv <pads = [2,2,0,0]> (x, v)"),
            {"u": (2, 3, 3, 3), "v": (2, 3, 3, 3)},
            "more than their weights",
        ),
        (("Conv <group = 3> (x, u)", "Conv <group = 3> (x, v)"), {"u": (3, 1, 3, 3), "v": (3, 1, 3, 3)}, "groups"),
        (("Conv (x, u)", "Relu (x)"), {"u": (2, 3, 1, 1)}, "not made by a Conv"),
        (("Conv (x, u)",), {"u": (2, 3, 1, 1)}, "does not join channels"),
    ],
    ids=["inputs", "kernels", "bias", "pads", "groups", "others", "one"],
)
def test_refuses(convs, shapes, reason):
    refuses(concat_conv, joined(*convs), shapes, reason=reason)


@pytest.mark.parametrize("names", ["a0, a0", "a0, a1, a0"])
def test_refuses_one_that_is_joined_twice(names):
    text = joined("Conv (x, u)", "Conv (x, v)").replace("a0, a1", names)
    refuses(concat_conv, text, {"u": (2, 3, 3, 3), "v": (2, 3, 3, 3)}, reason="joined twice")


def test_refuses_another_axis():
    refuses(concat_conv, joined("Conv (x, u)", "Conv (x, v)", axis=2), {"u": (2, 3, 3, 3), "v": (2, 3, 3, 3)})


def test_refuses_other_readers():
    text = joined("Conv (x, u)", "Conv (x, v)", more=", float[E,F,G,H] a0")
    refuses(concat_conv, text, {"u": (2, 3, 3, 3), "v": (2, 3, 3, 3)}, reason="used elsewhere")


def test_refuses_two_readers():
    text = joined("Conv (x, u)", "Conv (x, v)", more=", float[E,F,G,H] r").replace("y =", "r = Relu (a0) y =")
    refuses(concat_conv, text, {"u": (2, 3, 3, 3), "v": (2, 3, 3, 3)}, reason="used elsewhere")


def test_refuses_weights_that_others_read():
    text = joined("Conv (x, u)", "Conv (x, v)", more=", float[2,3,3,3] r").replace("y =", "r = Neg (u) y =")
    refuses(concat_conv, text, {"u": (2, 3, 3, 3), "v": (2, 3, 3, 3)}, reason="is not constant, shared")


def test_refuses_weights_that_are_given():
    text = joined("Conv (x, u)", "Conv (x, v)").replace("g (", "g (float[2,3,3,3] u, ")
    refuses(concat_conv, text, {"v": (2, 3, 3, 3)}, reason="is not constant, shared")


def test_refuses_the_third_axis_from_the_end_of_volumes():
    text = joined("Conv (x, u)", "Conv (x, v)", axis=-3).replace("8,8]", "8,8,8]").replace("C,D]", "C,D,E]")
    refuses(concat_conv, text, {"u": (2, 3, 1, 1, 1), "v": (2, 3, 1, 1, 1)}, reason="does not join channels")
