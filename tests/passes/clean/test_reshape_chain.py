import pytest

from passes.clean import reshape_chain
from tests.support import fires, refuses


def reshapes(shape, first, second, result="A, B"):
    n, k = first.count(",") + 1, second.count(",") + 1
    return f"""m (float[{shape}] x) => (float[{result}] y) <int64[{n}] s = {{{first}}}, int64[{k}] t = {{{second}}}> {{
        a = Reshape(x, s)
        y = Reshape(a, t)
    }}"""


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (reshapes("4, 6", "3, 8", "2, 12"), [2, 12]),
        (reshapes("N, 6", "-1", "-1, 3"), [-1, 3]),
        (reshapes("N, 6", "-1, 2, 3", "0, 6"), [0, 6]),
        (reshapes("4, 6", "8, 3", "0, -1"), [8, 3]),
        (reshapes("N, M, 6", "0, 0, 2, 3", "0, 0, -1", "A, B, C"), [0, 0, 6]),
    ],
)
def test_two_are_one(text, target):
    model = fires(reshape_chain, text, leaves=["Reshape"])
    assert model.graph.nodes[0].inputs[1].values.tolist() == target


def test_since_the_shape_is_an_input():
    text = f'<ir_version: 3, opset_import: ["" : 5]> {reshapes("4, 6", "3, 8", "2, 12")}'
    model = fires(reshape_chain, text, leaves=["Reshape"])
    assert [tensor.name for tensor in model.graph.nodes[0].inputs] == ["x", "t"]


def test_a_length_that_is_a_product_is_inferred():
    text = """m (float[N, M, 6] x) => (float[A, B, C] y) <int64[1] z = {2}>
        { a = Flatten<axis = 2>(x)  y = Unsqueeze(a, z) }"""
    model = fires(reshape_chain, text, leaves=["Reshape"])
    assert model.graph.nodes[0].inputs[1].values.tolist() == [-1, 6, 1]


def test_a_computed_second_shape_without_zeros_stays_if_its_values_are_known():
    text = """m (float[2, 6] x) => (float[A, B] y) <int64[1] s = {-1}>
        { a = Reshape(x, s)  t = Shape(x)  y = Reshape(a, t) }"""
    fires(reshape_chain, text, leaves=["Reshape", "Shape"])


@pytest.mark.parametrize(
    "calls",
    [
        "a = Flatten(x)  y = Reshape(a, t)",
        "a = Reshape(x, t)  y = Flatten(a)",
        "a = Unsqueeze(x, z)  y = Reshape(a, t)",
        "a = Flatten(x)  y = Unsqueeze(a, z)",
        "a = Flatten<axis=2>(x)  y = Flatten<axis=0>(a)",
    ],
)
def test_its_relatives(calls):
    text = f"m (float[2, 3, 4] x) => (float y) <int64[2] t = {{8, 3}}, int64[1] z = {{0}}> {{ {calls} }}"
    fires(
        reshape_chain,
        text.replace("float y", f"float[{'A, B, C' if 'y = Uns' in calls else 'A, B'}] y"),
        leaves=["Reshape"],
    )


def test_allowzero_is_not_carried_to_a_shape_that_copies():
    text = """m (float[2, 6] x) => (float[A, B] y) <int64[1] s = {-1}, int64[2] t = {3, 4}> {
        a = Reshape(x, s)
        y = Reshape<allowzero=1>(a, t)
    }"""
    fires(reshape_chain, text, leaves=["Reshape"])


def test_not_if_two_lengths_are_unknown():
    refuses(
        reshape_chain,
        """m (float[N, M, 6] x, int64[4] t) => (float[A, B, C, D, E] y) <int64[1] z = {4}>
            { a = Reshape(x, t)  y = Unsqueeze(a, z) }""",
        reason="several lengths",
    )


def test_not_if_a_zero_copies_a_length_that_is_not_known():
    text = """m (float[N, M] x, int64[3] s) => (float[A, B, C] y) <int64[3] t = {0, 0, -1}> {
        a = Reshape(x, s)
        y = Reshape(a, t)
    }"""
    refuses(reshape_chain, text, reason="several lengths")


def test_not_if_the_second_shape_may_copy_lengths():
    text = """m (float[4, 6] x, int64[2] t) => (float[A, B] y) <int64[2] s = {3, 8}>
        { a = Reshape(x, s)  y = Reshape(a, t) }"""
    refuses(reshape_chain, text, reason="several lengths")


@pytest.mark.parametrize("op", ["Squeeze", "Unsqueeze"])
def test_not_two_squeezes_or_unsqueezes(op):
    text = f"""m (float[1, 1, 6] x) => (y) <int64[1] z = {{0}}> {{ a = {op}(x, z)  y = {op}(a, z) }}"""
    refuses(reshape_chain, text, reason="squeeze_chain makes it one")


def test_not_of_an_empty_tensor():
    text = """m (float[0, 6] x) => (float[A, B] y) <int64[2] s = {3, 0}, int64[2] t = {0, 2}> {
        a = Reshape<allowzero=1>(x, s)
        y = Reshape<allowzero=1>(a, t)
    }"""
    refuses(reshape_chain, text, reason="empty")


def test_not_if_the_first_is_used_elsewhere():
    text = reshapes("4, 6", "3, 8", "2, 12").replace("B] y)", "B] y, float[3, 8] a)")
    refuses(reshape_chain, text)


def test_not_if_the_number_of_axes_is_unknown():
    text = """m (float[N] x, int64[r] s) => (y) <int64[1] i = {0}> {
        u = Reshape(x, s) a = Unsqueeze(u, i) y = Squeeze(a) }"""
    refuses(reshape_chain, text, reason="the number of axes is unknown")
