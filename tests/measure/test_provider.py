"""A model as it is deployed: on the provider that was asked for, or an error."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from graphopt.errors import ModelError, UsageError
from graphopt.measure.provider import available, check_threads, open_session
from tests.support import proto

MODEL = """agraph (float[n, 4] x, float[4] b) => (float[n, 4] y, float[n, 4] z) {
    a = Relu(x)
    y = Add(a, b)
    z = Tanh(y)
}"""
X = np.array([[-1, 2, -3, 4]], np.float32)


@pytest.fixture
def model() -> bytes:
    return proto(MODEL, {"b": np.ones(4, np.float32)}).SerializeToString()


def test_the_outputs_come_by_name(model):
    with open_session(model) as session:
        found = session.run({"x": X, "unknown": X})
    assert list(found) == ["y", "z"]
    np.testing.assert_array_equal(found["y"], np.maximum(X, 0) + 1)


def test_an_input_with_a_default_may_be_fed(model):
    with open_session(model) as session:
        assert session.inputs == ("x",)
        np.testing.assert_array_equal(session.run({"x": X, "b": np.zeros(4, np.float32)})["y"], np.maximum(X, 0))


def test_a_file_is_as_good_as_its_bytes(model, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(model)
    with open_session(path) as session:
        assert session.name == str(path)
        assert session.run({"x": X})["z"].shape == (1, 4)


def test_texts_and_sequences_come_as_they_are():
    text = "agraph (string[n] x) => (seq(string[n]) y) { y = SequenceConstruct(x) }"
    with open_session(proto(text).SerializeToString()) as session:
        (found,) = session.run({"x": np.array(["a", "b"], object)})["y"]
    assert list(found) == ["a", "b"]


def test_the_cpu_leaves_nothing_to_the_cpu(model):
    with open_session(model) as session:
        assert session.left_to_cpu == ()


def test_what_a_provider_does_not_take_is_named(model):
    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("the installed onnxruntime has no provider that takes nothing")
    with open_session(model, provider="azure") as session:
        assert [node.operator for node in session.left_to_cpu] == ["Relu", "Add", "Tanh"]


def test_a_provider_that_is_not_there_is_an_error_that_names_the_others(model):
    with pytest.raises(UsageError, match=r"there is no provider 'abacus' .* it has: .*cpu"):
        open_session(model, provider="abacus")


@pytest.mark.parametrize("spelling", ["cpu", "CPU", "CPUExecutionProvider"])
def test_spellings_of_a_provider(model, spelling):
    assert open_session(model, provider=spelling).provider == "CPUExecutionProvider"


def test_the_cpu_is_always_there():
    assert "cpu" in available()


@pytest.mark.parametrize("threads", [0, -1, 10**6])
def test_absurd_threads_are_refused(threads):
    with pytest.raises(UsageError, match=f"must be 1 to .*, found {threads}"):
        check_threads(threads)


def test_threads_are_at_least_one_by_default():
    assert check_threads(None) >= 1


def test_what_is_no_model_does_not_load(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("no model")
    with pytest.raises(ModelError, match=r"model\.onnx does not load: Protobuf parsing failed"):
        open_session(path)


def test_an_operator_without_a_kernel_does_not_load():
    text = '<ir_version: 10, opset_import: ["" : 21, "no" : 1]> agraph (float[n] x) => (float[n] y) { y = no.Such(x) }'
    with pytest.raises(ModelError, match=r"the small one does not load: .*no:Such"):
        open_session(proto(text).SerializeToString(), name="the small one")


def test_feeds_that_do_not_fit_are_the_runtimes_words(model):
    with open_session(model) as session, pytest.raises(ModelError, match=r"cannot be run: .*x"):
        session.run({"x": np.zeros((1, 5), np.float32)})


def test_the_profile_lies_where_it_was_asked_for(model, tmp_path):
    with open_session(model, profile=tmp_path / "profile") as session:
        session.run({"x": X})
        path = session.end_profile()
    assert path.parent == tmp_path
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_external_data_is_found_beside_the_file(tmp_path):
    message = proto(MODEL, {"b": np.ones(4, np.float32)})
    onnx.save(message, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    with open_session(tmp_path / "m.onnx") as session:
        np.testing.assert_array_equal(session.run({"x": X})["y"], np.maximum(X, 0) + 1)
