import pytest

from passes.clean import inference_dropout
from tests.support import apply, fires, refuses


def text(call, version=21, outputs="y", weights=""):
    ir = 8 if version > 12 else 4
    return f"""<ir_version: {ir}, opset_import: ["" : {version}]>
    m (float[N] x) => (float[N] y) {weights} {{ r = Relu(x)  {outputs} = {call} }}"""


@pytest.mark.parametrize(
    "model",
    [
        text("Dropout<ratio=0.5>(r)", 7),
        text("Dropout<ratio=0.5>(r)", 10, "y, mask"),
        text("Dropout(r)", 13),
        text("Dropout(r, p)", 13, "y, mask", "<float p = {0.5}>"),
        text("Dropout(r, p, t)", 21, "y", "<float p = {0.5}, bool t = {0}>"),
    ],
)
def test_outside_training(model):
    fires(inference_dropout, model, leaves=["Relu"])


def test_not_in_training():
    model = text("Dropout(r, p, t)", 21, "y", "<float p = {0.5}, bool t = {1}>")
    refuses(inference_dropout, model, reason="training")


def test_before_opset_7_an_attribute_says_that_it_is_outside_training():
    model = apply(inference_dropout, text("Dropout<is_test=1>(r)", 6)).model
    assert [node.op for node in model.graph.nodes] == ["Relu"]
    refuses(inference_dropout, text("Dropout<ratio=0.5>(r)", 6), reason="training")


def test_not_if_the_mask_is_returned():
    model = "m (float[N] x) => (float[N] y, bool[N] k) { r = Relu(x)  y, k = Dropout(r) }"
    refuses(inference_dropout, model, reason="mask")


def test_not_if_the_mode_is_an_input():
    model = "m (float[N] x, bool t) => (float[N] y) { r = Relu(x)  y = Dropout(r, , t) }"
    refuses(inference_dropout, model, reason="training")


def test_not_if_the_mask_is_used():
    model = "m (float[N] x) => (float[N] y, bool[N] z) { r = Relu(x)  y, k = Dropout(r)  z = Not(k) }"
    refuses(inference_dropout, model, reason="mask")
