"""Types of operators for signals and for classical models, where onnx infers less, or wrongly."""

from __future__ import annotations

import numpy as np

from graphopt.analysis.call import Call, types
from graphopt.analysis.order import maximum
from graphopt.analysis.symbolic import Expression, Scalar, floordiv
from graphopt.analysis.types import Dims, Type

BINARY = 2
"""Classes that may share one score."""

FLOAT, INT64, STRING = np.dtype(np.float32), np.dtype(np.int64), np.dtype(np.object_)


@types("STFT", reads=(1, 3))
def stft(call: Call) -> Type:
    """Frames of `frame_length` (or of the window), half of the spectrum unless `onesided` is 0, real and imaginary."""
    dims, step = call.dims(0), call.scalar(1)
    window = call.dims(2)
    length = call.scalar(3) if call.has(3) else window[0] if window else None
    if dims is None:
        return Type(call.dtype(0), (None, None, None, 2))
    frames: Scalar | None = None
    if isinstance(length, int) and isinstance(step, int) and dims[1] is not None:
        steps = floordiv(dims[1] - length, step)
        frames = None if steps is None else maximum(0, steps + 1)
    bins = length // 2 + 1 if isinstance(length, int) and call.attr("onesided", 1) else length
    return Type(call.dtype(0), (dims[0], frames, None if isinstance(bins, Expression) else bins, 2))


def _rows(dims: Dims | None) -> Scalar | None:
    """The number of samples; one sample may come without its dimension."""
    if dims is None:
        return None
    return dims[0] if len(dims) > 1 else 1


@types("ai.onnx.ml.TreeEnsembleClassifier", "ai.onnx.ml.LinearClassifier", "ai.onnx.ml.SVMClassifier")
def classifier(call: Call) -> tuple[Type, Type]:
    """A label for each sample, and as many scores as there are classes (two classes may share one score)."""
    names = call.attr("classlabels_strings") or ()
    numbers = call.attr("classlabels_int64s") or call.attr("classlabels_ints") or ()
    rows, classes = _rows(call.dims(0)), len(names) or len(numbers)
    scores = classes if classes > BINARY else None
    return Type(STRING if names else INT64, (rows,)), Type(FLOAT, (rows, scores))


@types("ai.onnx.ml.TreeEnsembleRegressor", "ai.onnx.ml.LinearRegressor")
def regressor(call: Call) -> Type:
    """`n_targets`, or `targets`, numbers for each sample."""
    targets = call.attr("n_targets" if call.op == "TreeEnsembleRegressor" else "targets", 1)
    return Type(FLOAT, (_rows(call.dims(0)), targets))
