"""Evaluating models: the numbers of other tools, the same samples for all, and what is refused before anything runs."""

from __future__ import annotations

import json
import math

import numpy as np
import onnx
import pytest

import graphopt
from graphopt.data.opening import open_data
from graphopt.errors import ModelError, UsageError
from graphopt.measure import evaluate as room
from graphopt.measure.evaluate import evaluate
from graphopt.report.encode import to_json
from tests.corpus.files import ROOT as CORPUS
from tests.support import proto

LINEAR = "agraph (float[{n}, 4] x) => (float[{n}, 3] y) {{ y = MatMul(x, w) }}"
RNG = np.random.default_rng(0)
W = RNG.standard_normal((4, 3)).astype(np.float32)
X = RNG.standard_normal((50, 4)).astype(np.float32)
LABELS = (X @ W).argmax(axis=1)
LABELS[:5] = (LABELS[:5] + 1) % 3


@pytest.fixture
def files(tmp_path):
    """A model that is right on 45 of 50 samples, one that gives zeros, and the samples."""
    onnx.save(proto(LINEAR.format(n="n"), {"w": W}), tmp_path / "good.onnx")
    onnx.save(proto(LINEAR.format(n="n"), {"w": 0 * W}), tmp_path / "zero.onnx")
    np.savez(tmp_path / "d.npz", x=X, label=LABELS)
    return tmp_path


def fixed(n, w=W):
    return proto(LINEAR.format(n=n), {"w": w}).SerializeToString()


# --- scores -----------------------------------------------------------------------------------------------------------


def test_scores_and_differences(files):
    done = evaluate([files / "good.onnx", files / "zero.onnx"], files / "d.npz", ["top1", "agreement", "max_abs"])
    share = np.mean(LABELS == 0)
    assert done.samples == 50
    assert done.score("top1").value.value == pytest.approx(0.9)
    assert done.score("top1").difference is None
    assert done.score("top1", 1).difference.value == pytest.approx(share - 0.9)
    assert done.score("top1", 1).difference.certain
    assert done.score("agreement", 1).value.value == pytest.approx(np.mean((X @ W).argmax(axis=1) == 0))
    assert done.score("agreement", 1).difference is None
    assert done.score("max_abs", 1).value.value == pytest.approx(np.abs(X @ W).max(), rel=1e-6)
    assert done.reference == str(files / "good.onnx")


@pytest.mark.parametrize("batch", [1, 7, 50, 64])
def test_the_batch_does_not_matter(files, batch):
    done = evaluate(files / "good.onnx", files / "d.npz", "top1", batch=batch)
    assert (done.samples, done.score("top1").value.value) == (50, pytest.approx(0.9))


@pytest.mark.parametrize("n", [1, 3, 16])
def test_models_of_a_fixed_batch_stand_beside_others(files, n):
    done = evaluate([files / "good.onnx", fixed(n)], files / "d.npz", ["top1", "sqnr"])
    assert done.samples == 50
    assert done.score("top1", 1).difference.value == 0
    assert done.score("sqnr", 1).value.value > 100


def test_a_limit_takes_the_first_samples(files):
    assert evaluate(files / "good.onnx", files / "d.npz", "top1", limit=10).score("top1").value.value == 0.5


def test_models_may_be_paths_bytes_messages_and_models(files):
    model = proto(LINEAR.format(n="n"), {"w": W})
    forms = [str(files / "good.onnx"), model, model.SerializeToString(), graphopt.load(files / "good.onnx")]
    done = evaluate(forms, files / "d.npz", "top1")
    assert [one.scores[0].value.value for one in done.models] == [pytest.approx(0.9)] * 4
    assert [one.model for one in done.models[1:]] == ["model 2", "model 3", "model 4"]


def test_another_original_can_be_named(files):
    done = evaluate(files / "zero.onnx", files / "d.npz", ["agreement", "top1"], reference=files / "good.onnx")
    assert [one.model for one in done.models] == [str(files / "zero.onnx")]
    assert done.reference == str(files / "good.onnx")
    assert done.score("agreement").value.value == pytest.approx(np.mean((X @ W).argmax(axis=1) == 0))
    alone = evaluate(files / "zero.onnx", files / "d.npz", "top1", reference="not needed, and not read")
    assert alone.reference is None


def test_progress_is_told_in_samples(files):
    told = []
    evaluate(files / "good.onnx", files / "d.npz", "top1", batch=20, progress=lambda *one: told.append(one))
    assert told == [(20, 50), (40, 50), (50, 50)]


def test_the_record_is_json(files):
    done = evaluate([files / "good.onnx", files / "good.onnx"], files / "d.npz", ["top1", "sqnr"], seed=3)
    record = json.loads(to_json(done))
    assert record["metrics"][0] == {"name": "top1", "unit": "%", "higher_is_better": True, "relative": False}
    assert record["models"][1]["scores"][0]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert record["models"][1]["scores"][1]["value"]["value"] == "inf"
    assert (record["samples"], record["seed"], record["provider"], record["schema"]) == (50, 3, "cpu", 1)


def test_a_model_of_whole_sets_of_inputs_is_judged_set_by_set(tmp_path):
    model = proto("agraph (float[n, 4] x, float scale) => (float[n, 4] y) { y = Mul(x, scale) }")
    np.savez(tmp_path / "d.npz", x=X.reshape(10, 5, 4), scale=np.arange(10, dtype=np.float32))
    done = evaluate([model, model], tmp_path / "d.npz", "mean_abs")
    assert (done.samples, done.score("mean_abs", 1).value.value) == (10, 0)


# --- refused beforehand -----------------------------------------------------------------------------------------------


@pytest.fixture
def nothing_runs(monkeypatch):
    """No session is opened."""

    def refuse(*_, **__):
        raise AssertionError("a session was opened")

    monkeypatch.setattr(room, "open_session", refuse)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"metrics": "accuracy"}, UsageError, "there is no metric 'accuracy'"),
        ({"metrics": []}, UsageError, "there is no metric to compute"),
        ({"metrics": "top1:output=z"}, UsageError, "top1:output=z: .*good.onnx has no output 'z'; it has 'y'"),
        ({"metrics": "perplexity"}, UsageError, r"cannot be computed of output 'y' \[n, 3\] .* at least 3 axes"),
        ({"models": proto("agraph (float[n, 4] x) => (float[n] y) { y = ReduceSum<keepdims = 0>(x, axes) }",
                          {"axes": np.array([1])})},
         UsageError, r"top1 cannot be computed of output 'y' \[n\]"),
        ({"metrics": "agreement"}, UsageError, "agreement: give a second model, or the original"),
        ({"models": []}, UsageError, "there is no model to evaluate"),
        ({"models": "none.onnx"}, ModelError, "none.onnx"),
        ({"data": "none.npz"}, UsageError, "none.npz: there is no such file"),
        ({"data": 7}, UsageError, "data is a path, module:function or an object"),
        ({"data": "unlabelled.npz"}, UsageError, "top1 needs labels, and unlabelled.npz has none: .*--labels"),
        ({"data": "far.npz"}, UsageError, "label of sample 7 is 3, but the model knows classes 0 to 2"),
        ({"data": "wide.npz"}, UsageError, r"samples of the shape \[5\], input 'x' \[n, 4\]"),
        ({"provider": "tpu"}, UsageError, "there is no provider 'tpu'"),
        ({"threads": 0}, UsageError, "the number of threads must be"),
        ({"limit": 0}, UsageError, "the limit must be at least 1 sample, found 0"),
        ({"batch": -1}, UsageError, "the batch must be at least 1 sample, found -1"),
        ({"models": [fixed(2), fixed(3)]}, UsageError, "different numbers of samples: model 1 2, model 2 3"),
        ({"models": fixed(2), "batch": 3}, UsageError, "model 1 2, the batch that is asked for 3"),
        ({"models": ["good.onnx", proto("agraph (float[n, 5] x) => (float[n, 5] y) { y = Relu(x) }")]}, UsageError,
         "cannot be fed the same data"),
    ],
)  # fmt: skip
def test_what_is_refused_before_anything_runs(files, monkeypatch, nothing_runs, options, error, said):
    monkeypatch.chdir(files)
    np.savez("unlabelled.npz", x=X)
    np.savez("far.npz", x=X, label=np.where(np.arange(50) == 7, 3, LABELS))
    np.savez("wide.npz", x=np.zeros((3, 5), np.float32), label=np.zeros(3, int))
    with pytest.raises(error, match=said):
        evaluate(**{"models": "good.onnx", "data": "d.npz", "metrics": "top1", **options})


def test_labels_that_are_only_seen_late_are_told_with_their_place(files):
    class Late:
        name, count, labelled = "late", None, True

        def batches(self, size=None, limit=None):
            yield from open_data(files / "far.npz", files / "good.onnx").batches(size or 10, limit)

        def labels(self):
            return iter(())

        def fingerprint(self):
            return ""

    np.savez(files / "far.npz", x=X, label=np.where(np.arange(50) == 17, 3, LABELS))
    with pytest.raises(UsageError, match="top1, in the batch of 10 from sample 10 on: the label of sample 7 is 3"):
        evaluate(files / "good.onnx", Late(), "top1")


def test_a_model_that_fails_is_named(files):
    bad = proto("agraph (float[n, 4] x) => (float[n, 3] y) <int64[1] s = {7}> { y = Reshape(x, s) }")
    with pytest.raises(ModelError, match="model 1"):
        evaluate(bad, files / "d.npz", "top1")


# --- the corpus's own scores ------------------------------------------------------------------------------------------

OWN = [("digits", 0.996), ("digits_transformer", 0.986)]


@pytest.mark.parametrize(("name", "share"), OWN)
def test_the_scores_of_the_models_in_the_repository(name, share):
    from tests.cli.conftest import ROOT

    folder = ROOT / "models"
    done = evaluate(folder / f"{name}.onnx", folder / "digits.test.npz", "top1")
    assert done.score("top1").value.value == pytest.approx(share, abs=1e-9)


SIGNED = {"preprocess": "signed", "label_offset": 1}
CIFAR = {"preprocess": "unit:mean=.4914+.4822+.4465:std=.247+.2435+.2616"}


@pytest.mark.skipif(not CORPUS.exists(), reason="there is no corpus beside the checkout")
@pytest.mark.parametrize(
    ("net", "data", "options", "limit", "expected"),
    [
        ("mobilenet-v2", "imagenet200", SIGNED, None, {"top1": 0.885, "top5": 0.995}),
        ("resnet20-cifar10", "cifar10_test2k", CIFAR, None, {"top1": 0.8575}),
        ("resnet8-cifar10", "cifar10_test2k", {"preprocess": "raw"}, 200, {"top1": 0.775}),
    ],
)
def test_the_scores_of_published_networks(net, data, options, limit, expected):
    model = CORPUS / "nets" / f"{net}.onnx"
    held = open_data(CORPUS / "data" / f"{data}.npz", model, **options)
    done = evaluate(model, held, list(expected), limit=limit)
    found = {name: done.score(name).value.value for name in expected}
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.skipif(not CORPUS.exists(), reason="there is no corpus beside the checkout")
def test_one_set_of_inputs_of_a_model_with_state_and_branches():
    model = CORPUS / "nets" / "silero-vad-op15.onnx"
    done = evaluate([model, model], model.with_suffix(".npz"), "sqnr")
    assert (done.samples, done.score("sqnr", 1).value.value) == (1, math.inf)
