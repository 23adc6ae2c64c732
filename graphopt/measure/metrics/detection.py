"""Mean average precision of detectors, computed by faster-coco-eval as for COCO."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from graphopt.errors import UsageError
from graphopt.ir.types import Array
from graphopt.ir.words import quoted
from graphopt.measure.metrics.metric import Metric, Observed

COLUMNS = 5
"""Of labels: class, left, top, right, bottom."""
CORNERS = 4
MOST = 100
"""Detections of a picture that count, those with the highest scores: COCO's rule."""
RESAMPLES = 100
"""Each takes as long as the score itself."""


def _library() -> Any:
    try:
        import faster_coco_eval
    except ImportError:
        raise UsageError("map is computed by faster-coco-eval: pip install 'graphopt[detection]'") from None
    return faster_coco_eval


def _kept(observed: Observed, boxes: str, scores: str, classes: str) -> Array:
    """(samples, 2) of arrays: detections (n, 6) as score, class and corners, and labels (m, 5)."""
    found = [_output(observed, name) for name in (scores, classes, boxes)]
    labels = observed.labels
    if labels is None or labels.shape[2:] != (COLUMNS,):
        shape = "none" if labels is None else list(labels.shape)
        raise UsageError(
            f"map takes labels (samples, boxes, {COLUMNS}): class, left, top, right, bottom; class -1 for no box; "
            f"found {shape}"
        )
    made = np.empty((len(labels), 2), object)
    for row, rated, named, placed, right in zip(made, *found, labels, strict=True):
        if placed.shape != (*rated.shape, CORNERS) or named.shape != rated.shape or rated.ndim != 1:
            raise UsageError(
                f"map takes boxes (n, {CORNERS}), scores (n) and classes (n) of every sample, found "
                f"{list(placed.shape)}, {list(rated.shape)} and {list(named.shape)}"
            )
        best = np.argsort(-rated, kind="stable")[:MOST]
        row[0] = np.column_stack([rated, named, placed]).astype(np.float64)[best]
        row[1] = right[right[:, 0] >= 0].astype(np.float64)
    return made


def _output(observed: Observed, name: str) -> Array:
    if name not in observed.outputs:
        there = ", ".join(map(quoted, observed.outputs))
        raise UsageError(
            f"there is no output {quoted(name)}; there are {there}. Say which is which: map:boxes=A:scores=B:classes=C"
        )
    return observed.outputs[name]


def _precision(kept: Array, weights: Array, iou: float) -> float:
    """Average precision, the mean over classes and, if `iou` is 0, over thresholds of overlap from 0.5 to 0.95."""
    library = _library()
    pictures = [(found, right) for (found, right), count in zip(kept, weights, strict=True) for _ in range(int(count))]
    truth = [
        {"image_id": number, "id": 0, "category_id": int(row[0]), "iscrowd": 0, **_box(row[1:])}
        for number, (_, right) in enumerate(pictures, 1) for row in right
    ]  # fmt: skip
    results = [
        {"image_id": number, "category_id": int(row[1]), "score": float(row[0]), **_box(row[2:])}
        for number, (found, _) in enumerate(pictures, 1) for row in found
    ]  # fmt: skip
    if not truth:
        return float("nan")
    if not results:
        return 0.0
    for number, one in enumerate(truth, 1):
        one["id"] = number
    names = sorted({one["category_id"] for one in truth})
    images = [{"id": number} for number in range(1, len(pictures) + 1)]
    right = library.COCO({"images": images, "annotations": truth, "categories": [{"id": name} for name in names]})
    judge = library.COCOeval_faster(right, right.loadRes(results), "bbox")
    if iou:
        judge.params.iouThrs = np.array([iou])
    judge.evaluate()
    judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, -1]
    return float(precision[precision >= 0].mean()) if (precision >= 0).any() else float("nan")


def _box(corners: Array) -> dict[str, Any]:
    """A box as COCO has it: left, top, width, height."""
    left, top, right, bottom = map(float, corners)
    return {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}


def mean_average_precision(
    boxes: str = "boxes", scores: str = "scores", classes: str = "classes", iou: float = 0.0
) -> Metric:
    """Mean average precision, averaged over overlaps of 0.5, 0.55, ... 0.95, or at one overlap, such as iou=0.5.

    boxes, scores, classes: names of the outputs (samples, n, 4) with corners left, top, right, bottom, (samples, n) and
    (samples, n). Labels are (samples, m, 5): class, left, top, right, bottom, where class -1 stands for no box.
    """
    if not 0 <= iou < 1:
        raise UsageError(f"map: iou must be at least 0 and below 1, found {iou}")
    _library()
    return Metric(
        "map",
        "%",
        higher_is_better=True,
        update=partial(_kept, boxes=boxes, scores=scores, classes=classes),
        score=partial(_precision, iou=iou),
        labels="any",
        output=boxes,
        resamples=RESAMPLES,
    )
