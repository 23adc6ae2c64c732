"""How much blocks change what goes through them, measured on samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, TensorProto, helper

from graphopt.ir.types import Array

if TYPE_CHECKING:
    from graphopt.data.source import Data
    from graphopt.ir.model import Model
    from graphopt.numerics.run import Runner
    from passes.depth.blocks import Block


def influences(model: Model, blocks: Sequence[Block], data: Data, runner: Runner, samples: int) -> Array:
    """The square of each block's branch against that of its sum (float64 [blocks]), over at most so many samples.

    After the block influence of Men et al., ShortGPT, 2024, with distances in place of angles. Raises RunFailure.
    """
    proto, names = _probed(model.to_proto(), blocks)
    content = proto.SerializeToString()
    totals = np.zeros((len(blocks), 2))
    for batch in data.batches(limit=samples):
        found = runner.run(content, batch.feeds, outputs=names)
        totals += np.array([float(np.asarray(one)) for one in found]).reshape(-1, 2)
    ratios: Array = totals[:, 0] / np.maximum(totals[:, 1], np.finfo(np.float64).tiny)
    return ratios


def _probed(proto: ModelProto, blocks: Sequence[Block]) -> tuple[ModelProto, list[str]]:
    """The model with two more outputs for each block: the squares of its branch and of its sum."""
    taken = {name for node in proto.graph.node for name in node.output}
    stem = "influence"
    while any(name.startswith(stem) for name in taken):
        stem += "_"
    names: list[str] = []
    for place, block in enumerate(blocks):
        for part, tensor in (("branch", block.branch), ("sum", block.total.outputs[0])):
            names.append(f"{stem}_{place}_{part}")
            wide = f"{names[-1]}_float"
            proto.graph.node.append(helper.make_node("Cast", [tensor.name], [wide], to=TensorProto.FLOAT))
            proto.graph.node.append(helper.make_node("ReduceSumSquare", [wide], [names[-1]], keepdims=0))
            proto.graph.output.append(helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, []))
    return proto, names
