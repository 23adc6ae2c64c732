"""`graphopt compare`: the same inputs, numbers side by side, a verdict."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import onnx
import pytest

from tests.cli.conftest import run
from tests.support import proto

LINE = "agraph (float[n, 4] x) => (float[n, 4] y) {{ y = {} }}"


@pytest.fixture
def pair(written):
    """Writes two models of one line each."""

    def write(a: str, b: str):
        return written(LINE.format(a), "a.onnx"), written(LINE.format(b), "b.onnx")

    return write


def test_equal_models_agree_exactly(pair):
    result = run("compare", *pair("Relu(x)", "Relu(x)"))
    assert result.exit_code == 0
    assert "B agrees with A exactly, on 2 sets of inputs." in result.stdout
    assert result.stderr == ""


def test_spellings_of_the_same_function_agree_within_rounding(pair):
    result = run("compare", *pair("Tanh(x)", "Tanh(x)"), "--contract", "exact")
    assert result.exit_code == 0


def test_different_models_differ(pair):
    result = run("compare", *pair("Relu(x)", "Abs(x)"))
    assert result.exit_code == 1
    assert "B differs from A: y at" in result.stdout


def test_the_numbers_are_those_of_the_models(pair, here):
    np.savez(here / "one.npz", x=np.array([[1, -2, 3, -4]], np.float32))
    result = run("compare", *pair("Relu(x)", "Abs(x)"), "--feeds", "one.npz", "--json")
    record = json.loads(result.stdout)
    (one,) = record["differences"]
    assert result.exit_code == 1
    assert (record["verdict"], record["feeds"]) == ("differ", ["one.npz"])
    assert (one["largest"], one["max_abs"], one["type"], one["ok"]) == (3.0, 4.0, "float[1, 4]", False)
    assert one["k"] == pytest.approx(4 / 3 / np.finfo(np.float32).eps)
    assert one["sqnr"] == pytest.approx(10 * np.log10(10 / 20))
    assert one["cosine"] == pytest.approx(10 / np.sqrt(10 * 30))


def test_two_bindings_of_free_dimensions_are_tried(pair):
    record = json.loads(run("compare", *pair("Relu(x)", "Relu(x)"), "--json").stdout)
    first, second = (one["type"] for one in record["differences"])
    assert first != second


def test_a_fault_at_one_size_only_is_found(here):
    onnx.save(proto("agraph (float[n] x) => (float[m] y) { y = Relu(x) }"), "a.onnx")
    text = """agraph (float[n] x) => (float[m] y) <int64[1] two = {2}> {
        size = Shape(x)
        most = Min(size, two)
        zero = Sub(most, size)
        real = Cast <to = 1> (zero)
        positive = Relu(x)
        y = Add(positive, real)
    }"""
    onnx.save(proto(text), "b.onnx")
    record = json.loads(run("compare", "a.onnx", "b.onnx", "--json").stdout)
    assert [one["ok"] for one in record["differences"]] == [False, True]


def test_the_contract_decides(pair, here):
    np.savez(here / "one.npz", x=np.array([[1, -2, 3, 4]], np.float32))
    models = pair("Relu(x)", "LeakyRelu <alpha = 0.01> (x)")
    assert run("compare", *models, "--feeds", "one.npz").exit_code == 1
    assert run("compare", *models, "--feeds", "one.npz", "--contract", "lossy(sqnr >= 40)").exit_code == 0


def test_seeds_give_other_numbers_and_one_seed_the_same(pair):
    models = pair("Relu(x)", "Relu(x)")
    texts = [run("compare", *models, "--json", "--seed", seed).stdout for seed in (1, 1, 2)]
    largest = [[one["largest"] for one in json.loads(text)["differences"]] for text in texts]
    assert largest[0] == largest[1] != largest[2]


# ---- what cannot be compared ----

INTERFACES = [
    ("agraph (float[n, 4] v) => (float[n, 4] y) { y = Relu(v) }", "b.onnx has no input 'x'; it has 'v'"),
    ("agraph (float[n, 4] x, float[n, 4] v) => (float[n, 4] y) { y = Add(x, v) }", "b.onnx needs an input 'v'"),
    ("agraph (double[n, 4] x) => (double[n, 4] y) { y = Relu(x) }", "float in one model and double in the other"),
    ("agraph (float[n, 5] x) => (float[n, 5] y) { y = Relu(x) }", "shape ['n', 4] in one and ['n', 5]"),
    ("agraph (float[n, 4, 1] x) => (float[n, 4, 1] y) { y = Relu(x) }", "shape ['n', 4] in one"),
    ("agraph (float[n, 4] x) => (float[n, 4] z) { z = Relu(x) }", "b.onnx has no output 'y'; it has 'z'"),
]


@pytest.mark.parametrize(("text", "part"), INTERFACES)
def test_interfaces_that_differ(written, text, part):
    result = run("compare", written(LINE.format("Relu(x)"), "a.onnx"), written(text, "b.onnx"))
    assert result.exit_code == 2
    assert part in result.stderr
    assert result.stdout == ""


def test_more_outputs_are_only_noted(written):
    more = "agraph (float[n, 4] x) => (float[n, 4] z, float[n, 4] y) { z = Abs(x) y = Relu(x) }"
    result = run("compare", written(LINE.format("Relu(x)"), "a.onnx"), written(more, "b.onnx"))
    assert result.exit_code == 0
    assert "b.onnx has outputs that a.onnx does not have: 'z'" in result.stdout


FEEDS = [
    ({"v": np.zeros((1, 4), np.float32)}, "has no array 'x'; it has 'v'"),
    ({"x": np.zeros((1, 4))}, "input 'x' must be float, found float64"),
    ({"x": np.zeros((1, 5), np.float32)}, "input 'x' must have shape ['n', 4], found [1, 5]"),
    ({"x": np.zeros(4, np.float32)}, "must have shape"),
    ({"x": np.array([None])}, "cannot be read as an .npz file"),
]


@pytest.mark.parametrize(("arrays", "part"), FEEDS)
def test_inputs_that_do_not_fit(pair, here, arrays, part):
    np.savez(here / "feeds.npz", **arrays)
    result = run("compare", *pair("Relu(x)", "Relu(x)"), "--feeds", "feeds.npz")
    assert result.exit_code == 2
    assert part in result.stderr


def test_a_single_array_is_no_set_of_inputs(pair, here):
    np.save(here / "feeds.npy", np.zeros((1, 4), np.float32))
    result = run("compare", *pair("Relu(x)", "Relu(x)"), "--feeds", "feeds.npy")
    assert (result.exit_code, "single array" in result.stderr) == (2, True)


def test_types_that_npz_files_forget_are_remembered(written, here):
    text = "agraph (bfloat16[4] x) => (bfloat16[4] y) { y = Identity(x) }"
    np.savez(here / "feeds.npz", x=np.arange(4).astype(ml_dtypes.bfloat16))
    path = written(text)
    result = run("compare", path, path, "--feeds", "feeds.npz", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["differences"][0]["largest"] == 3.0


def test_a_model_that_cannot_run_at_all_is_unreadable_input(written):
    header = '<ir_version: 10, opset_import: ["" : 21, "custom" : 1]>'
    bad = header + "agraph (float[4] x) => (float[4] y) { y = custom.F(x) }"
    good = "agraph (float[4] x) => (float[4] y) { y = Relu(x) }"
    a, b = written(bad, "a.onnx"), written(good, "b.onnx")
    first, second = run("compare", a, b), run("compare", b, a)
    assert (first.exit_code, "a.onnx cannot be run" in first.stderr) == (2, True)
    assert (second.exit_code, "a.onnx cannot be run" in second.stdout) == (1, True)


def test_random_models_cannot_be_judged(written):
    path = written("agraph (float[4] x) => (float[4] y) { y = RandomNormalLike(x) }")
    result = run("compare", path, path)
    assert result.exit_code == 1
    assert "draws random numbers" in result.stdout


def test_nothing_finite_is_no_evidence(written):
    path = written("agraph (float[4] x) => (float[4] y) { z = Sub(x, x) y = Div(z, z) }")
    result = run("compare", path, path)
    assert result.exit_code == 1
    assert "no finite number" in result.stdout


def test_texts_and_sequences_are_compared_too(written):
    text = """agraph (float[4] x, string[2] s) => (seq(float[4]) y, string[2] t) {
        y = SequenceConstruct(x, x)
        t = Identity(s)
    }"""
    path = written(text)
    result = run("compare", path, path)
    assert result.exit_code == 0, result.output
    assert "sequence" in result.stdout


def test_texts_can_be_given(written, here):
    path = written("agraph (string[2] s) => (string[2] t) { t = Identity(s) }")
    np.savez(here / "feeds.npz", s=np.array(["a", "ä"]))
    result = run("compare", path, path, "--feeds", "feeds.npz")
    assert (result.exit_code, "exactly" in result.stdout) == (0, True), result.output
