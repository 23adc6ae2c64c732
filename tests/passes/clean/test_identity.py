from passes.clean import identity
from tests.support import fires, refuses


def test_between_nodes():
    fires(
        identity, "m (float[2] x) => (float[2] y) { a = Relu(x)  b = Identity(a)  y = Abs(b) }", leaves=["Relu", "Abs"]
    )


def test_of_an_input():
    fires(identity, "m (float[2] x) => (float[2] y) { a = Identity(x)  y = Abs(a) }", leaves=["Abs"])


def test_a_returned_name_moves_to_the_producer():
    model = fires(identity, "m (float[2] x) => (float[2] y) { a = Abs(x)  y = Identity(a) }", leaves=["Abs"])
    assert [output.name for output in model.graph.outputs] == ["y"]


def test_with_another_reader():
    text = "m (float[2] x) => (float[2] y, float[2] z) { a = Abs(x)  y = Identity(a)  z = Relu(a) }"
    fires(identity, text, leaves=["Abs", "Relu"])


def test_of_strings():
    text = "m (string[2] x, string[2] z) => (string[4] y) { a = Identity(x)  y = Concat<axis=0>(a, z) }"
    fires(identity, text, leaves=["Concat"])


def test_not_if_both_names_are_returned():
    text = "m (float[2] x) => (float[2] a, float[2] y) { a = Abs(x)  y = Identity(a) }"
    refuses(identity, text, reason="under this name")


def test_not_from_an_input_to_an_output():
    refuses(identity, "m (float[2] x) => (float[2] y) { y = Identity(x) }", reason="under this name")


def test_not_from_an_outer_graph_to_the_output_of_a_nested_one():
    text = """m (bool c, float[2] x) => (float[2] y) {
        a = Abs(x)
        y = If(c) <then_branch = t () => (float[2] p) { p = Identity(a) },
                   else_branch = e () => (float[2] q) { q = Neg(a) }>
    }"""
    refuses(identity, text, reason="under this name")
