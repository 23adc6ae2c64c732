import pytest

from tests.support import apply, fires, refuses

STEP = "clean:only=constant_nodes"


@pytest.mark.parametrize(
    "attribute",
    ["value = float[2] {1, 2}", "value_floats = [1.0, 2.0]", "value_float = 1.0"],
)
def test_becomes_an_initializer(attribute):
    model = fires(
        STEP, f"m (float[2] x) => (float[2] y) {{ c = Constant<{attribute}>()  y = Add(x, c) }}", leaves=["Add"]
    )
    assert [held.name for held in model.graph.initializers] == ["c"]


def test_strings():
    text = 'm (string[1] x) => (string[2] y) { c = Constant<value_strings = ["a"]>()  y = Concat<axis=0>(x, c) }'
    fires(STEP, text, leaves=["Concat"])


NESTED = """m (bool b, float[2] x) => (float[2] y) {{
    y = If(b) <then_branch = t () => (float[2] p) {{ c = Constant<value = float[2] {{1, 2}}>()  p = {then} }},
               else_branch = e () => (float[2] q) {{ c = Constant<value = float[2] {{3, 4}}>()  q = Add(x, c) }}>
}}"""


def test_in_two_branches_that_use_the_same_name():
    model = fires(STEP, NESTED.format(then="Mul(x, c)"), leaves=["If"])
    assert [len(branch.nodes) for branch in model.graph.nodes[0].attrs.values()] == [1, 1]


def test_not_if_a_graph_returns_it():
    text = "m (float[2] x) => (float[2] y, float[2] c) { c = Constant<value = float[2] {1, 2}>()  y = Add(x, c) }"
    refuses(STEP, text)


def test_not_if_a_nested_graph_returns_it():
    text = """m (bool b, float[2] x) => (float[2] y) {
        y = If(b) <then_branch = t () => (float[2] c) { c = Constant<value = float[2] {1, 2}>() },
                   else_branch = e () => (float[2] q) { q = Neg(x) }>
    }"""
    refuses(STEP, text)


def test_values_of_all_kinds_stay_what_they_are():
    model = apply(STEP, "m (int64 x) => (int64 y) { c = Constant<value_int = 7>()  y = Add(x, c) }").model
    (held,) = model.graph.initializers
    assert (held.dtype, held.shape, held.values.item()) == ("int64", (), 7)
