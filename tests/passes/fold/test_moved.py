import numpy as np
import pytest

import graphopt
from graphopt.ir.types import Stored
from passes.fold import FOLD
from passes.fold.moved import Moved
from tests.support import fires, proto

CALLS = {
    "Transpose<perm=[1, 0]>(w)": (512, 256),
    "Transpose(w)": (512, 256),
    "Reshape(w, to)": (128, 1024),
    "Unsqueeze(w, one)": (256, 1, 512),
    "Flatten<axis=2>(w)": (131072, 1),
    "Cast<to=1>(w)": (256, 512),
    "Identity(w)": (256, 512),
}


@pytest.mark.parametrize(("call", "shape"), CALLS.items())
def test_large_weights_are_moved_without_being_read(call, shape, monkeypatch):
    text = f"g (float x) => (float[{', '.join(map(str, shape))}] y) {{ m = {call} y = Add(x, m) }}"
    weights = {"w": (256, 512)} | {
        n: v for n, v in {"to": np.array([128, 1024]), "one": np.array([1])}.items() if n in call
    }
    expected = proto(text, weights).graph.initializer[0]
    model = fires(FOLD, text, weights, leaves=["Add"])
    held = model.graph.nodes[0].inputs[1].stored
    assert isinstance(held, Moved)
    values = np.frombuffer(expected.raw_data, np.float32).reshape(256, 512)
    values = values.T if call.startswith("Transpose") else values
    np.testing.assert_array_equal(held.load(), values.reshape(shape))


def test_chains_of_moves():
    text = """g (float[1, 1] x) => (float[128, 1024] y) {
        a = Transpose(w) b = Reshape(a, to) c = Identity(b) y = Add(x, c)
    }"""
    model = fires(FOLD, text, {"w": (256, 512), "to": np.array([128, 1024])}, leaves=["Add"])
    held = model.graph.nodes[0].inputs[1].stored
    assert isinstance(held, Moved)
    assert len(held.steps) == 3
    assert held.load().shape == (128, 1024)


def test_what_is_computed_from_moved_weights():
    text = "g (float[512, 256] x) => (float[512, 256] y) { a = Transpose(w) b = Exp(a) y = Add(x, b) }"
    fires(FOLD, text, {"w": (256, 512)}, leaves=["Add"])


def test_a_file_is_written_from_where_the_weights_are(tmp_path):
    text = "g (float[2, 256] x) => (float[2, 512] y) { a = Transpose(w) y = MatMul(x, a) }"
    source = tmp_path / "model.onnx"
    source.write_bytes(proto(text, {"w": (512, 256)}).SerializeToString())
    result = graphopt.optimize(source, passes=[FOLD])
    result.model.save(tmp_path / "out.onnx")
    written = graphopt.load(tmp_path / "out.onnx")
    weight = written.graph.nodes[0].inputs[1]
    original = graphopt.load(source).graph.nodes[0].inputs[0]
    np.testing.assert_array_equal(weight.values, original.values.T)
    assert isinstance(weight.stored, Stored)


def test_values_are_read_only():
    moved = Moved(np.arange(6).reshape(2, 3), (("transpose", (1, 0)),), (3, 2))
    with pytest.raises(ValueError, match="read-only"):
        moved.load()[0, 0] = 1
    assert moved.nbytes == 48
