"""Metrics of classifiers: scores along the last axis, labels that are numbers of classes."""

from __future__ import annotations

from functools import partial

import numpy as np

from graphopt.data.source import IGNORED
from graphopt.errors import UsageError
from graphopt.ir.types import Array
from graphopt.measure.metrics.metric import Metric, Observed, chosen, mean

AXES = 2
"""Of scores: samples and classes."""
AVERAGES = ("macro", "micro", "weighted", "binary")


def scores_of(found: Array) -> Array:
    """Scores with the classes along the last axis, axes of one element after them dropped."""
    while found.ndim > AXES and found.shape[-1] == 1:
        found = found[..., 0]
    return found


def check_classes(labels: Array, classes: int | None, *, first: int = 0) -> Array:
    """Labels as integers. Raises UsageError, with the number of the sample, where one is no class.

    classes: how many the model knows; None if that is not known. first: the number of the first sample.
    """
    if labels.dtype.kind == "f" and np.array_equal(labels, np.rint(labels)):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iub":
        raise UsageError(f"labels must be numbers of classes, found {labels.dtype} {labels.reshape(-1)[:1]}")
    bad = (labels < 0) if classes is None else (labels < 0) | (labels >= classes)
    if labels.ndim > 1:
        bad &= labels != IGNORED
    if bad.any():
        place = tuple(int(index) for index in np.argwhere(bad)[0])
        known = "a class is at least 0" if classes is None else f"the model knows classes 0 to {classes - 1}"
        raise UsageError(
            f"the label of sample {first + place[0]} is {labels[place]}, but {known}; labels that count from another "
            "number can be moved (--label-offset 1)"
        )
    return labels


def _scored(observed: Observed, output: str | None) -> tuple[Array, Array]:
    """Scores, or predicted classes where the model gives those, and labels. Raises UsageError if they do not fit."""
    found = scores_of(chosen(observed.outputs, output))
    if observed.labels is None:
        raise UsageError("the data has no labels")
    labels = observed.labels
    while labels.ndim > 1 and labels.shape[-1] == 1 and labels.ndim >= found.ndim:
        labels = labels[..., 0]
    if _decided(found, labels.ndim):
        return found, check_classes(labels, None)
    if found.shape[:-1] != labels.shape:
        raise UsageError(
            f"the model gives {list(found.shape[1:])} for a sample, of which the last axis holds classes; the labels "
            f"of a sample have the shape {list(labels.shape[1:])}, expected {list(found.shape[1:-1])}"
        )
    return found, check_classes(labels, found.shape[-1])


def _decided(found: Array, axes: int) -> bool:
    """Whether an output holds classes, not their scores."""
    return found.dtype.kind in "iub" and found.ndim == axes


def _kept(hits: Array, counted: Array) -> Array:
    """(samples, 2): how many elements of a sample are right, and how many there are."""
    samples = len(hits)
    right = (hits & counted).reshape(samples, -1).sum(axis=1)
    return np.stack([right, counted.reshape(samples, -1).sum(axis=1)], axis=1).astype(np.float64)


def _topk(observed: Observed, k: int, output: str | None) -> Array:
    found, labels = _scored(observed, output)
    if _decided(found, labels.ndim):
        return _kept(found == labels, labels != IGNORED)
    if k >= found.shape[-1] > 1:
        raise UsageError(f"top{k} of {found.shape[-1]} classes is always right; write a smaller k, such as top1")
    held = np.take_along_axis(found, np.maximum(labels, 0)[..., None].astype(np.int64), axis=-1)
    before = np.arange(found.shape[-1]) < labels[..., None]
    rank = ((found > held) | ((found == held) & before)).sum(axis=-1)
    return _kept((rank < k) & ~np.isnan(found).any(axis=-1), labels != IGNORED)


def topk(k: int = 5, output: str | None = None) -> Metric:
    """The share of samples whose label is among the k largest scores; of equal scores the first counts as larger."""
    if k < 1:
        raise UsageError(f"top-k: k must be at least 1, found {k}")
    return Metric(f"top{k}", "%", partial(_topk, k=k, output=output), mean, labels="class", output=output, axes=AXES)


def _agreement(observed: Observed, output: str | None) -> Array:
    found = scores_of(chosen(observed.outputs, output))
    expected = scores_of(chosen(observed.reference or {}, output))
    if found.shape != expected.shape:
        raise UsageError(f"the outputs have the shapes {list(found.shape)} and {list(expected.shape)}")
    same = found == expected if found.dtype.kind in "iub" else found.argmax(axis=-1) == expected.argmax(axis=-1)
    return _kept(same, np.ones_like(same))


def agreement(output: str | None = None) -> Metric:
    """The share of samples for which the model and the original give the same class the largest score."""
    update = partial(_agreement, output=output)
    return Metric("agreement", "%", update, mean, needs_reference=True, output=output)


def _decisions(observed: Observed, output: str | None, threshold: float) -> Array:
    found = scores_of(chosen(observed.outputs, output))
    if found.dtype.kind not in "iub" and found.ndim > 1 and found.shape[-1] == 1:
        found = (found[..., 0] > threshold).astype(np.int64)
        observed = Observed({"": found}, observed.labels, None, {})
        output = None
    scores, labels = _scored(observed, output)
    if labels.ndim != 1:
        raise UsageError(f"f1 takes one label for each sample, found the shape {list(labels.shape[1:])}")
    decided = scores if _decided(scores, 1) else scores.argmax(axis=-1)
    return np.stack([decided, labels], axis=1).astype(np.int64)


def _f1(kept: Array, weights: Array, average: str) -> float:
    """2 TP / (2 TP + FP + FN) of each class, averaged."""
    found, labels = kept[:, 0], kept[:, 1]
    classes = int(kept.max()) + 1
    predicted = np.bincount(found, weights, classes)
    actual = np.bincount(labels, weights, classes)
    right = np.bincount(labels, weights * (found == labels), classes)
    if average == "micro":
        return float(right.sum() / actual.sum())
    if average == "binary":
        both = float(predicted[1:].sum() + actual[1:].sum())
        return 2 * float(right[1:].sum()) / both if both else 0.0
    seen = predicted + actual > 0
    each = 2 * right[seen] / (predicted + actual)[seen]
    return float(np.average(each, weights=actual[seen] if average == "weighted" else None))


def f1(average: str = "macro", output: str | None = None, threshold: float = 0.5) -> Metric:
    """The F1 score: the harmonic mean of precision and recall.

    average: "macro" (the mean over the classes that occur), "weighted" (by how often each occurs), "micro" (over all
    samples) or "binary" (of class 1). threshold: above which a single score means class 1.
    """
    if average not in AVERAGES:
        raise UsageError(f"f1: there is no average {average!r}; there are: {', '.join(AVERAGES)}")
    update = partial(_decisions, output=output, threshold=threshold)
    return Metric("f1", "%", update, partial(_f1, average=average), labels="class", output=output, axes=AXES)
