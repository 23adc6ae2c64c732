"""What layers are fed on a few samples of the calibration data: to check each quantised layer on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx

from graphopt.analysis.shapes import Shapes
from graphopt.calibration.serving import defaults, served
from graphopt.data.source import Data
from graphopt.ir.dtypes import DType, elem_type
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Constant, Tensor, Variable
from graphopt.ir.values import constant

MOST_BYTES = 1 << 28
"""Of the activations that are kept; one sample is kept whatever it takes."""
MOST_SAMPLES = 8


Captured = Sequence[Mapping[str, Array]]
"""What tensors hold, by name: for each batch."""


def capture(model: Model, data: Data, tensors: Sequence[Tensor], shapes: Shapes) -> Captured:
    """The values of tensors of the outermost graph, constants too, on the first samples. Raises ModelError.

    shapes: with free dimensions bound, for an estimate of the size.
    """
    distinct = dict.fromkeys(tensors)
    wanted = {one.name: shapes.dtype(one) for one in distinct if isinstance(one, Variable) and constant(one) is None}
    constants = {one.name: np.asarray(held.values) for one in distinct if (held := constant(one)) is not None}
    constants |= defaults(model)
    per_sample = 4 * sum(int(np.prod(shapes.static(one) or (1,))) for one in distinct if one.name in wanted)
    count = max(1, min(MOST_SAMPLES, MOST_BYTES // max(1, per_sample)))
    with served(model, _returning(wanted), threads=None) as (session, _):
        return [{**constants, **batch.feeds, **session.run(batch.feeds)} for batch in data.batches(limit=count)]


def _returning(wanted: Mapping[str, DType | None]) -> Callable[[onnx.ModelProto], None]:
    """The change that makes a model return these tensors too."""

    def change(proto: onnx.ModelProto) -> None:
        known = {value.name for value in (*proto.graph.output, *proto.graph.input)}
        for name, dtype in wanted.items():
            if name and name not in known:
                kind = onnx.TensorProto.FLOAT if dtype is None else elem_type(dtype)
                proto.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, None))

    return change


Meaning = Mapping[Tensor, tuple[str, Callable[[Array], Array]]]
"""What tensors of integers stand for: the float tensor's name, and the way from its values to the integers."""


def feeds(captured: Captured, meaning: Meaning) -> Callable[[Sequence[Tensor]], list[dict[Tensor, Array]]]:
    """What `Context.apply` takes as the activations at the boundary of a region."""

    def values(tensors: Sequence[Tensor]) -> list[dict[Tensor, Array]]:
        variable = (tensor for tensor in tensors if not isinstance(tensor, Constant))
        named = [(tensor, *meaning.get(tensor, (tensor.name, _unchanged))) for tensor in variable]
        return [{tensor: change(batch[name]) for tensor, name, change in named} for batch in captured]

    return values


def _unchanged(array: Array) -> Array:
    return array
