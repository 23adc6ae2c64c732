import pytest

from passes.clean import expand_operand
from tests.support import fires, refuses


def text(body, inputs="float[N, 1] x, float[N, 4] z", outputs="float[A, B] y", weights="<int64[2] s = {1, 4}>"):
    return f"m ({inputs}) => ({outputs}) {weights} {{ e = Expand(x, s)  y = {body} }}"


@pytest.mark.parametrize("call", ["Add(e, z)", "Sub(z, e)", "Div(e, z)"])
def test_the_other_operand_has_the_shape(call):
    fires(expand_operand, text(call), leaves=[call[:3]])


@pytest.mark.parametrize(
    ("inputs", "target"), [("float[N, 1] x, float[N, 1] z", "{1, 1}"), ("float[1] x, float[N, 4] z", "{1, 4}")]
)
def test_lengths_of_one(inputs, target):
    fires(expand_operand, text("Add(e, z)", inputs).replace("{1, 4}", target), leaves=["Add"])


def test_since_there_is_expand():
    fires(expand_operand, f'<ir_version: 3, opset_import: ["" : 8]> {text("Add(e, z)")}', leaves=["Add"])


def test_comparisons():
    fires(expand_operand, text("Greater(e, z)", outputs="bool[A, B] y"), leaves=["Greater"])


@pytest.mark.parametrize("call", ["Where(c, e, z)", "Where(c, z, e)"])
def test_branches_of_where(call):
    fires(expand_operand, text(call, "bool[N, 4] c, float[N, 1] x, float[N, 1] z"), leaves=["Where"])


def test_condition_of_where():
    fires(expand_operand, text("Where(e, z, z)", "bool[N, 1] x, float[N, 4] z"), leaves=["Where"])


def test_a_computed_shape():
    body = (
        "m (float[1, 1, S] x, float[N, H, S] z) => (float[A, B, C] y) { s = Shape(z)  e = Expand(x, s)  y = Add(e, z) }"
    )
    fires(expand_operand, body, leaves=["Add", "Shape"])


def test_not_if_the_result_would_be_smaller():
    refuses(expand_operand, text("Add(e, z)", "float[N, 1] x, float[N, 1] z"), reason="smaller")


def test_not_if_the_lengths_may_differ():
    refuses(expand_operand, text("Add(e, z)", "float[N, 1] x, float[M, 4] z"), reason="smaller")


def test_not_if_a_shape_is_unknown():
    inputs = "float[N, 1] x, float[N, 4] w, int64[K] t"
    refuses(expand_operand, text("Add(e, z)", inputs).replace("{ e", "{ z = Reshape(w, t)  e"), reason="unknown")


def test_not_if_the_expanded_tensor_is_used_elsewhere():
    refuses(expand_operand, text("Add(e, z)", outputs="float[A, B] y, float[A, B] e"))
