import pytest

from tests.support import apply, fires, refuses

STEP = "clean:only=concat_chain"


def text(body, outputs="float[A, B] y"):
    return f"m (float[N, 2] a, float[N, 3] b, float[N, 1] c) => ({outputs}) {{ {body} }}"


@pytest.mark.parametrize(
    ("body", "order"),
    [
        ("p = Concat<axis=1>(a, b)  y = Concat<axis=1>(p, c)", "abc"),
        ("p = Concat<axis=1>(b, c)  y = Concat<axis=-1>(a, p)", "abc"),
        ("p = Concat<axis=1>(a, b)  q = Concat<axis=1>(p, c)  y = Concat<axis=1>(c, q, a)", "cabca"),
    ],
)
def test_inner_ones_dissolve(body, order):
    model = fires(STEP, text(body), leaves=["Concat"])
    assert "".join(tensor.name for tensor in model.graph.nodes[0].inputs) == order


def test_empty_parts_go():
    model = "m (float[N, 2] a, float[N, 0] b) => (float[N, 4] y) { y = Concat<axis=1>(a, b, a) }"
    assert len(fires(STEP, model, leaves=["Concat"]).graph.nodes[0].inputs) == 2


def test_one_part_stays_if_all_are_empty():
    model = "m (float[N, 0] a, float[N, 0] b) => (float[N, 0] y) { y = Concat<axis=1>(a, b) }"
    result = apply(STEP, model).model
    assert [len(node.inputs) for node in result.graph.nodes] == [1]


def test_not_on_another_axis():
    refuses(STEP, "m (float[2, 2] a) => (float[4, 4] y) { p = Concat<axis=0>(a, a)  y = Concat<axis=1>(p, p) }")


def test_not_if_the_inner_one_is_used_elsewhere():
    body = "p = Concat<axis=1>(a, b)  y = Concat<axis=1>(p, c)"
    refuses(STEP, text(body, "float[A, B] y, float[A, C] p"))
    refuses(STEP, text(f"{body}  z = Neg(p)", "float[A, B] y, float[A, C] z"))


def test_not_if_the_inner_one_occurs_twice():
    """It would grow with every level."""
    refuses(STEP, text("p = Concat<axis=1>(a, b)  y = Concat<axis=1>(p, p)"))
