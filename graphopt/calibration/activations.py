"""The values of tensors while a model runs on data, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnx import ModelProto

from graphopt.calibration.serving import defaults, served
from graphopt.data.source import Data
from graphopt.ir.dtypes import elem_type
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Tensor, Variable

FLOAT = 1
"""TensorProto.FLOAT, for tensors of which the file does not say what they hold."""


def activations(
    model: Model,
    data: Data,
    tensors: Sequence[Tensor],
    *,
    samples: int | None = None,
    threads: int | None = None,
) -> Iterator[dict[str, Array]]:
    """What tensors of the outermost graph hold, by name, for each batch; one batch is in memory.

    Constants are left out; float32 is assumed where the file does not declare a type. Raises ModelError if the model
    does not run.
    """
    wanted = {one.name: one for one in tensors if isinstance(one, Variable)}

    def change(proto: ModelProto) -> None:
        known = {value.name for value in (*proto.graph.output, *proto.graph.input)}
        for name, tensor in wanted.items():
            if name not in known:
                value = proto.graph.output.add(name=name)
                value.type.tensor_type.elem_type = FLOAT if tensor.dtype is None else elem_type(tensor.dtype)

    known = defaults(model)
    with served(model, change, threads) as (session, _):
        for batch in data.batches(limit=samples):
            found = {**known, **batch.feeds, **session.run(batch.feeds)}
            yield {name: found[name] for name in wanted if name in found}
