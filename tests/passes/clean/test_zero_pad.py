import pytest

from passes.clean import zero_pad
from tests.support import apply, fires, refuses


@pytest.mark.parametrize("call", ["Pad(r, none)", 'Pad<mode="edge">(r, none)', "Pad(r, part, , axes)"])
def test_nothing_is_added(call):
    text = f"""m (float[N, 3] x) => (float[N, 3] y)
    <int64[4] none = {{0, 0, 0, 0}}, int64[2] part = {{0, 0}}, int64[1] axes = {{1}}> {{ r = Relu(x)  y = {call} }}"""
    fires(zero_pad, text, leaves=["Relu"])


def test_as_an_attribute():
    text = """<ir_version: 4, opset_import: ["" : 9]>
    m (float[N] x) => (float[N] y) { r = Relu(x)  y = Pad<pads=[0, 0]>(r) }"""
    fires(zero_pad, text, leaves=["Relu"])


def test_as_it_was_called_at_first():
    text = """<ir_version: 3, opset_import: ["" : 1]>
    m (float[N] x) => (float[N] y) { r = Relu(x)  y = Pad<paddings=[0, 0]>(r) }"""
    assert [node.op for node in apply(zero_pad, text).model.graph.nodes] == ["Relu"]


@pytest.mark.parametrize("pads", ["0, 1", "1, -1"])
def test_not_if_something_moves(pads):
    text = f"m (float[3] x) => (float[N] y) <int64[2] p = {{{pads}}}> {{ r = Relu(x)  y = Pad(r, p) }}"
    refuses(zero_pad, text, reason="adds or cuts")


def test_not_if_the_pads_are_an_input():
    text = "m (float[3] x, int64[2] p) => (float[N] y) { r = Relu(x)  y = Pad(r, p) }"
    refuses(zero_pad, text, reason="unknown")
