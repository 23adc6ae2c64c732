"""Metrics: each against its definition, worked out by hand or another way, and what cannot be computed."""

from __future__ import annotations

import builtins
import math
import sys

import numpy as np
import pytest

from graphopt.errors import UsageError
from graphopt.measure.metrics import METRICS, Metric, Observed, metric

RNG = np.random.default_rng(0)
CLASSES = 7
LOGITS = RNG.standard_normal((50, CLASSES)).astype(np.float32)
OTHERS = LOGITS + RNG.standard_normal(LOGITS.shape).astype(np.float32) / 2
LABELS = RNG.integers(CLASSES, size=50)


def score(text, outputs, labels=None, reference=None, weights=None):
    """The score of one output, kept in two batches."""
    one = metric(text)
    kept = []
    for part in (slice(0, 20), slice(20, None)):
        seen = Observed(
            {"y": outputs[part]},
            None if labels is None else labels[part],
            None if reference is None else {"y": reference[part]},
            {},
        )
        kept.append(one.update(seen))
    rows = np.concatenate(kept)
    assert len(rows) == len(outputs)
    return one.score(rows, np.ones(len(rows)) if weights is None else weights)


def refused(text, said, outputs=LOGITS, labels=LABELS):
    with pytest.raises(UsageError, match=said):
        score(text, outputs, labels)


# --- classes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "k"), [("top1", 1), ("top5", 5), ("topk:k=3", 3)])
def test_top_k_is_the_share_with_the_label_among_the_k_largest(text, k):
    best = np.argsort(-LOGITS, axis=1, kind="stable")[:, :k]
    assert score(text, LOGITS, LABELS) == pytest.approx((best == LABELS[:, None]).any(axis=1).mean())


def test_of_equal_scores_the_first_counts_as_argmax_does():
    flat = np.zeros((40, CLASSES), np.float32)
    labels = np.arange(40) % CLASSES
    assert score("top1", flat, labels) == np.mean(labels == 0)
    assert score("topk:k=2", flat, labels) == np.mean(labels < 2)


def test_scores_that_are_nan_are_never_right():
    broken = LOGITS.copy()
    broken[:, 3] = np.nan
    assert score("top1", broken, LABELS) == score("top5", broken, LABELS) == 0


def test_the_classes_that_a_model_names_itself_are_taken():
    assert score("top1", LABELS, LABELS) == 1
    assert score("f1", LABELS, LABELS) == 1


def test_scores_may_have_axes_of_one_element_behind_them():
    assert score("top1", LOGITS[..., None, None], LABELS[:, None]) == score("top1", LOGITS, LABELS)


def test_samples_may_have_a_label_for_each_element_some_of_which_do_not_count():
    logits = RNG.standard_normal((30, 4, CLASSES))
    labels = logits.argmax(axis=-1)
    labels[:, 2:] = -100
    labels[0, 0] = (labels[0, 0] + 1) % CLASSES
    assert score("top1", logits, labels) == pytest.approx(59 / 60)


def test_agreement_needs_no_labels():
    same = np.mean(LOGITS.argmax(1) == OTHERS.argmax(1))
    assert score("agreement", OTHERS, None, LOGITS) == pytest.approx(same)
    assert score("agreement", LOGITS, None, LOGITS) == 1


def by_definition(found, labels, average):
    """F1 from precision and recall."""
    each, support = [], []
    for name in np.unique([*found, *labels]):
        right = np.sum((found == name) & (labels == name))
        precision = right / max(1, np.sum(found == name))
        recall = right / max(1, np.sum(labels == name))
        each.append(2 * precision * recall / (precision + recall) if right else 0.0)
        support.append(np.sum(labels == name))
    return {"macro": np.mean(each), "weighted": np.average(each, weights=support), "binary": each[-1]}[average]


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_f1_is_the_harmonic_mean_of_precision_and_recall(average):
    expected = by_definition(LOGITS.argmax(1), LABELS, average)
    assert score(f"f1:average={average}", LOGITS, LABELS) == pytest.approx(expected)


def test_micro_f1_of_one_label_each_is_accuracy():
    assert score("f1:average=micro", LOGITS, LABELS) == pytest.approx(score("top1", LOGITS, LABELS))


def test_binary_f1_is_that_of_class_1_also_of_a_single_score():
    labels = LABELS % 2
    chance = 1 / (1 + np.exp(-LOGITS[:, :1]))
    expected = by_definition((chance[:, 0] > 0.5).astype(int), labels, "binary")
    assert score("f1:average=binary", chance, labels) == pytest.approx(expected)
    assert score("f1:average=binary", np.concatenate([1 - chance, chance], axis=1), labels) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "labels", "said"),
    [
        ("top1", LABELS + 1, r"label of sample \d+ is 7, but the model knows classes 0 to 6; .*--label-offset 1"),
        ("f1", LABELS - 1, r"label of sample \d+ is -1"),
        ("top1", LABELS + 0.5, "must be numbers of classes, found float64"),
        ("top1", np.array(["cat"] * 50), "must be numbers of classes, found <U3"),
        ("top1", np.stack([LABELS] * 2, axis=1), r"gives \[7\] for a sample.*labels of a sample have the shape \[2\]"),
        ("top1", None, "the data has no labels"),
        ("f1:average=top", LABELS, "no average 'top'; there are: macro, micro, weighted, binary"),
        ("topk:k=0", LABELS, "k must be at least 1, found 0"),
        ("topk:k=7", LABELS, "top7 of 7 classes is always right"),
    ],
)
def test_labels_that_are_no_classes(text, labels, said):
    refused(text, said, labels=labels)


# --- distances --------------------------------------------------------------------------------------------------------


def test_distances_are_what_their_names_say():
    gap = OTHERS.astype(float) - LOGITS
    assert score("max_abs", OTHERS, None, LOGITS) == np.abs(gap).max()
    assert score("mean_abs", OTHERS, None, LOGITS) == pytest.approx(np.abs(gap).mean())
    expected = 10 * np.log10((LOGITS.astype(float) ** 2).sum() / (gap**2).sum())
    assert score("sqnr", OTHERS, None, LOGITS) == pytest.approx(expected)
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(LOGITS, OTHERS, strict=True)]
    assert score("cosine", OTHERS, None, LOGITS) == pytest.approx(np.mean(cosines))


def test_equal_outputs_are_at_no_distance():
    zero = np.zeros((50, 3))
    for outputs in (LOGITS, zero):
        found = {name: score(name, outputs, None, outputs) for name in ("sqnr", "cosine", "mean_abs", "max_abs")}
        assert found == pytest.approx({"sqnr": math.inf, "cosine": 1, "mean_abs": 0, "max_abs": 0})
    assert score("sqnr", zero + 1, None, zero) == -math.inf
    assert score("cosine", zero + 1, None, zero) == 0


def test_nan_is_not_passed_over():
    broken = OTHERS.copy()
    broken[3, 3] = np.nan
    for name in ("sqnr", "cosine", "mean_abs", "max_abs"):
        assert math.isnan(score(name, broken, None, LOGITS)), name


def test_half_precision_does_not_overflow():
    big = np.full((50, 4), 6e4, np.float16)
    assert score("mean_abs", -big, None, big) == pytest.approx(2 * float(big[0, 0]))


# --- language ---------------------------------------------------------------------------------------------------------


def test_perplexity_is_the_exponential_of_the_mean_surprise():
    logits = RNG.standard_normal((50, 6, CLASSES)) * 3
    labels = RNG.integers(CLASSES, size=(50, 6))
    labels[::2, 4:] = -100
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    surprise = [
        -np.log(chances[i, t, labels[i, t + 1]]) for i in range(50) for t in range(5) if labels[i, t + 1] != -100
    ]
    assert score("perplexity", logits, labels) == pytest.approx(np.exp(np.mean(surprise)))


def test_a_model_that_knows_nothing_is_as_perplexed_as_there_are_words():
    flat = np.zeros((50, 6, CLASSES), np.float32)
    labels = RNG.integers(CLASSES, size=(50, 6))
    assert score("perplexity:shift=0", flat, labels) == pytest.approx(CLASSES)
    assert score("perplexity", flat + 1e4, labels) == pytest.approx(CLASSES)


@pytest.mark.parametrize(
    ("outputs", "labels", "said"),
    [
        (LOGITS, LABELS, r"logits \(samples, tokens, vocabulary\).* found \[20, 7\] and \[20\]"),
        (np.zeros((50, 2, 3)), np.full((50, 2), 3), "the model knows classes 0 to 2"),
    ],
)
def test_what_has_no_perplexity(outputs, labels, said):
    refused("perplexity", said, outputs, labels)


# --- detection --------------------------------------------------------------------------------------------------------


def boxes(count=12, most=4, seed=0):
    """Labels (count, most, 5) with some empty places."""
    rng = np.random.default_rng(seed)
    corner, side = rng.random((count, most, 2)) * 100, rng.random((count, most, 2)) * 40 + 5
    made = np.concatenate([rng.integers(3, size=(count, most, 1)), corner, corner + side], axis=2)
    made[rng.random((count, most)) < 0.3] = -1
    return made


def detected(found, labels, text="map", weights=None):
    one = metric(text)
    names = ("boxes", "scores", "classes")
    kept = one.update(Observed(dict(zip(names, found, strict=True)), labels, None, {}))
    return one.score(kept, np.ones(len(labels)) if weights is None else weights)


def test_a_detector_that_finds_exactly_the_boxes_is_perfect():
    right = boxes()
    found = (right[..., 1:], (right[..., 0] >= 0).astype(float), right[..., 0])
    assert detected(found, right) == pytest.approx(1)


def test_a_box_that_is_half_right_counts_at_low_overlaps_only():
    right = np.array([[[0, 0.0, 0, 10, 10]]] * 3)
    found = (np.array([[[0, 0, 10, 7.2]]] * 3), np.ones((3, 1)), np.zeros((3, 1)))
    assert detected(found, right, "map:iou=0.5") == pytest.approx(1)
    assert detected(found, right, "map:iou=0.75") == pytest.approx(0)
    assert detected(found, right) == pytest.approx(5 / 10)  # 0.5, 0.55, 0.6, 0.65, 0.7


def test_finding_nothing_is_zero_and_pictures_can_be_weighted():
    right = boxes(2)
    found = [right[..., 1:].copy(), (right[..., 0] >= 0).astype(float), right[..., 0].copy()]
    assert detected((found[0][:, :0], found[1][:, :0], found[2][:, :0]), right) == 0
    found[2][1] = 9  # the second picture is all wrong
    assert detected(found, right, weights=np.array([3.0, 0.0])) == pytest.approx(1)
    assert detected(found, right, weights=np.array([0.0, 2.0])) == pytest.approx(0)


def test_outputs_and_labels_that_are_no_detections():
    right = boxes(3)
    with pytest.raises(UsageError, match=r"labels \(samples, boxes, 5\): class, left.*found \[3, 4, 4\]"):
        detected((right[..., 1:], right[..., 0], right[..., 0]), right[..., 1:])
    with pytest.raises(UsageError, match=r"map takes boxes \(n, 4\).* found \[4, 5\], \[4\] and \[4\]"):
        detected((right, right[..., 0], right[..., 0]), right)
    with pytest.raises(
        UsageError, match=r"there is no output 'scores'; there are 'y'. Say which is which: map:boxes=A"
    ):
        metric("map").update(Observed({"y": right}, right, None, {}))


def test_without_its_library_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "faster_coco_eval":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install 'graphopt\[detection\]'"):
        metric("map")


# --- one's own --------------------------------------------------------------------------------------------------------

OWN = """
import numpy as np
from graphopt.measure.metrics import metric

def margin(outputs, labels):
    return outputs["y"][np.arange(len(labels)), labels]

def drift(outputs, reference):
    return np.abs(outputs["y"] - reference["y"]).sum(axis=1)
drift.higher_is_better = False
drift.unit = "dB"

made = metric("topk:k=2")

def total(outputs): return 3.0
def broken(outputs): return outputs["z"]
def strange(logits): return logits
number = 7
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_metrics.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_metrics", None)


def test_a_function_gives_a_number_for_each_sample(own):
    one = metric("own_metrics:margin")
    assert (one.needs_labels, one.needs_reference, one.higher_is_better, one.unit) == (True, False, True, "")
    assert score("own_metrics:margin", LOGITS, LABELS) == pytest.approx(LOGITS[np.arange(50), LABELS].mean(), rel=1e-6)


def test_its_attributes_and_parameters_say_what_it_is(own):
    one = metric("own_metrics:drift")
    assert (one.needs_labels, one.needs_reference, one.higher_is_better, one.unit) == (False, True, False, "dB")
    expected = np.abs(OTHERS - LOGITS).sum(axis=1).mean()
    assert score("own_metrics:drift", OTHERS, None, LOGITS) == pytest.approx(expected, rel=1e-6)


def test_a_metric_can_be_named_too(own):
    assert metric("own_metrics:made").update(Observed({"y": LOGITS}, LABELS, None, {})).shape == (50, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("own_metrics:total", r"gave float64 of the shape \[\], expected a number for each of 20 samples"),
        ("own_metrics:broken", "own_metrics:broken failed: KeyError: 'z' .*own_metrics.py, line"),
        ("own_metrics:strange", "takes logits; a metric takes some of outputs, labels, reference, feeds"),
        ("own_metrics:number", "own_metrics:number is int, expected a function or a Metric"),
        ("own_metrics:missing", "has no attribute 'missing'"),
        ("own_missing:f", "there is no module 'own_missing'"),
    ],
)
def test_what_is_no_metric(own, text, said):
    refused(text, said)


# --- texts ------------------------------------------------------------------------------------------------------------


def test_every_metric_has_a_name_that_reads_back():
    for name in (*METRICS, "topk:k=3", "f1:average=micro"):
        assert metric(name).name == name
    assert isinstance(metric(metric("top1")), Metric)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accuracy", "there is no metric 'accuracy'; there are: top1, top5, .*, and module:function"),
        ("top1:k=3", "top1: 'k=3' is no option; there are: output, as in top1:output=logits"),
        ("topk:k", "'k' is no option"),
        ("topk:k=many", "topk: 'many' is no value for k"),
        ("f1:threshold=high", "f1: 'high' is no value for threshold"),
        ("map:iou=2", "iou must be at least 0 and below 1"),
        ("perplexity:shift=-1", "shift must be at least 0"),
    ],
)
def test_texts_that_are_no_metric(text, said):
    with pytest.raises(UsageError, match=said):
        metric(text)


def test_an_output_can_be_chosen():
    seen = Observed({"a": LOGITS, "b": OTHERS}, LABELS, None, {})
    one, other = metric("top1"), metric("top1:output=b")
    np.testing.assert_array_equal(one.update(seen)[:, 0], LOGITS.argmax(1) == LABELS)
    np.testing.assert_array_equal(other.update(seen)[:, 0], OTHERS.argmax(1) == LABELS)
    with pytest.raises(UsageError, match="there is no output 'c' with numbers; there are: 'a', 'b'"):
        metric("top1:output=c").update(seen)
