"""How much a model amplifies rounding errors: the unit in which errors of a whole model are judged.

Computing in floating point is computing exactly with inputs and weights that are off by a rounding error each
(backward error analysis: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 1.5). So the model
itself, run with every floating input and constant changed by one rounding error, tells how far its outputs move for
reasons that no rewrite is to blame for.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import ml_dtypes
import numpy as np

from graphopt.analysis.shapes import Shapes
from graphopt.ir import walk
from graphopt.ir.dtypes import FLOATS, epsilon
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Constant
from graphopt.numerics.compare import compare
from graphopt.numerics.contract import Close
from graphopt.numerics.failure import RunFailure
from graphopt.numerics.run import Runner
from graphopt.numerics.values import Value

HALF = frozenset({np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)})


SHAKES, MOST_SHAKES = 4, 32
"""How often a model is shaken: by chance, the changes of one time may cancel where others do not. More often where
that is not enough: of two large scores that are nearly equal, only some changes make the other one the larger."""


def amplification(
    runner: Runner,
    model: Model,
    original: str | bytes,
    feeds: Mapping[str, Array],
    seed: int,
    enough: float | None = None,
) -> float:
    """The largest change of an output of `original`, in rounding errors of the output, when every floating input and
    constant changes by one rounding error; and one more, as every result is rounded again. Finite.

    enough: how large it would have to be to matter: it is looked for until it is found, or has been for long.

    Exponents stay as they are: a negative number to the power of nearly 2 is no number.
    model: the original once more, whose constants are overwritten. Raises RunFailure where it cannot be run.
    """
    names = [tensor.name for tensor in model.graph.outputs]
    expected = runner.run(original, feeds, outputs=names)
    constants = [t for t in walk.tensors(model.graph) if isinstance(t, Constant) and _is_data(t)]
    stored = [constant.stored for constant in constants]
    largest = 0.0
    for shake in range(SHAKES if enough is None else MOST_SHAKES):
        if enough is not None and 1.0 + largest >= enough:
            break
        rng = np.random.default_rng([seed, shake])
        moved = {name: shaken(array, rng) if array.dtype in FLOATS else array for name, array in feeds.items()}
        for constant, held in zip(constants, stored, strict=True):
            constant.values = held
            constant.values = shaken(constant.values, rng)
        change = _change(expected, partial(_run_saved, runner, model, moved, names))
        if not math.isfinite(change):  # some constants are no data: the scales of a Resize must stay as they are
            change = _change(expected, partial(runner.run, original, moved, outputs=names))
        largest = max(largest, change if math.isfinite(change) else 0.0)
    return 1.0 + largest


def _is_data(constant: Constant) -> bool:
    exponent = any(reader.op == "Pow" and reader.inputs[1] is constant for reader in constant.outputs)
    return constant.dtype in FLOATS and not exponent


def _change(expected: Sequence[Value], run: Callable[[], Sequence[Value]]) -> float:
    """How far outputs move, in rounding errors; infinite where they cannot be computed or become no numbers."""
    try:
        return compare(expected, run(), Close(0)).k
    except RunFailure:
        return math.inf


def _run_saved(runner: Runner, model: Model, feeds: Mapping[str, Array], names: Sequence[str]) -> list[Value]:
    with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
        path = Path(folder) / "shaken.onnx"
        model.save(path)
        return runner.run(str(path), feeds, outputs=names)


def hidden_roundings(model: Model, rewrites: int) -> int:
    """How many rounding errors so many rewrites of `model` may make that are in no contract: 0 without 16-bit floats.

    ONNX Runtime computes most operators on 16-bit floats in float32, and rounds a result only where its neighbours,
    or the border of a subgraph, make it. A rewrite may change that before and behind its place, and so may the removal
    of what nobody uses.
    """
    shapes = Shapes(model)
    narrow = any(shapes.dtype(tensor) in HALF for tensor in walk.tensors(model.graph))
    return 2 * (rewrites + 1) if narrow else 0


def shaken(array: Array, rng: np.random.Generator) -> Array:
    """The array with every element one rounding error larger or smaller, of the same dtype; the largest stay finite."""
    signs = rng.integers(0, 2, size=array.shape) * 2.0 - 1.0
    wide = array.astype(np.float64)
    moved = wide * (1.0 + epsilon(array.dtype) * signs)
    most = float(cast("Any", ml_dtypes).finfo(array.dtype).max)
    return np.where(np.isfinite(wide), np.clip(moved, -most, most), wide).astype(array.dtype)
