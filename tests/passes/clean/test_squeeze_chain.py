import pytest

from passes.clean import squeeze_chain
from tests.support import fires, refuses


def text(first, a, second, b, shape, result, header=""):
    if header:
        calls = f"p = {first}<axes=[{a}]>(r)  y = {second}<axes=[{b}]>(p)"
        return f"{header} m (float[{shape}] x) => (float[{result}] y) {{ r = Relu(x)  {calls} }}"
    weights = f"int64[{a.count(',') + 1}] a = {{{a}}}, int64[{b.count(',') + 1}] b = {{{b}}}"
    return f"""m (float[{shape}] x) => (float[{result}] y) <{weights}>
        {{ r = Relu(x)  p = {first}(r, a)  y = {second}(p, b) }}"""


@pytest.mark.parametrize(
    ("first", "a", "second", "b", "shape", "result"),
    [
        ("Unsqueeze", "1", "Squeeze", "1", "N, M", "A, B"),
        ("Unsqueeze", "0, -1", "Squeeze", "3, 0", "N, M", "A, B"),
        ("Squeeze", "1", "Unsqueeze", "-2", "N, 1, M", "A, B, C"),
    ],
)
def test_two_cancel(first, a, second, b, shape, result):
    fires(squeeze_chain, text(first, a, second, b, shape, result), leaves=["Relu"])


@pytest.mark.parametrize(
    ("op", "a", "b", "shape", "result", "axes"),
    [
        ("Unsqueeze", "1", "0", "N, M", "A, B, C, D", [0, 2]),
        ("Unsqueeze", "0", "-1", "N, M", "A, B, C, D", [0, 3]),
        ("Unsqueeze", "1", "1", "N, M", "A, B, C, D", [1, 2]),
        ("Squeeze", "0", "1", "1, N, 1, M", "A, B", [0, 2]),
    ],
)
def test_two_are_one(op, a, b, shape, result, axes):
    model = fires(squeeze_chain, text(op, a, op, b, shape, result), leaves=["Relu", op])
    assert model.graph.nodes[1].inputs[1].values.tolist() == axes


def test_two_are_one_with_attributes():
    header = '<ir_version: 6, opset_import: ["" : 11]>'
    model = fires(
        squeeze_chain,
        text("Unsqueeze", "1", "Unsqueeze", "0", "N, M", "A, B, C, D", header),
        leaves=["Relu", "Unsqueeze"],
    )
    assert model.graph.nodes[1].attrs == {"axes": [0, 2]}


def test_axes_are_an_input_from_opset_13_on():
    header = '<ir_version: 7, opset_import: ["" : 13]> '
    model = fires(
        squeeze_chain,
        header + text("Unsqueeze", "1", "Unsqueeze", "0", "N, M", "A, B, C, D"),
        leaves=["Relu", "Unsqueeze"],
    )
    assert len(model.graph.nodes[1].inputs) == 2


def test_not_merged_if_the_first_is_read_elsewhere():
    shared = text("Unsqueeze", "0", "Unsqueeze", "0", "N", "A, B, C").replace("C] y)", "C] y, float[D, E] z)")
    refuses(squeeze_chain, shared.replace("y =", "z = Neg(p)  y ="), reason="other readers")


def test_not_if_no_axes_stand_for_all():
    model = "m (float[1, 5, 1] x) => (float[N] y) <int64[1] a = {0}, int64[0] none = {}> "
    body = "{ r = Relu(x)  p = Squeeze(r, a)  y = Squeeze(p, none) }"
    refuses(squeeze_chain, model + body, reason="all axes of length 1")


def test_not_if_other_axes_are_taken_away():
    refuses(squeeze_chain, text("Unsqueeze", "0", "Squeeze", "2", "N, 1", "A, B"), reason="do not cancel")


def test_not_merged_if_the_first_has_other_readers():
    shared = text("Unsqueeze", "0", "Unsqueeze", "0", "N", "A, B, C").replace("C] y)", "C] y, float[A, N] p)")
    refuses(squeeze_chain, shared, reason="other readers")


def test_not_if_the_axes_are_not_named():
    anonymous = (
        "m (float[N, 1] x) => (float[N, 1] y) <int64[1] b = {1}> { r = Relu(x)  p = Squeeze(r)  y = Unsqueeze(p, b) }"
    )
    refuses(squeeze_chain, anonymous, reason="axes are unknown")


def test_not_if_the_number_of_axes_is_unknown():
    text = """m (float[N] x, int64[r] s) => (y) <int64[1] i = {0}> {
        u = Reshape(x, s) a = Unsqueeze(u, i) y = Unsqueeze(a, i) }"""
    refuses(squeeze_chain, text, reason="the number of axes is unknown")
