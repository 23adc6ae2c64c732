"""Holds what the analysis says of tensors against what they turned out to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper

from graphopt.analysis import Shapes
from graphopt.analysis.order import evaluate
from graphopt.analysis.symbolic import symbols
from graphopt.ir.model import Model
from graphopt.ir.types import Tensor


def sizes(model: Model, feeds: Mapping[str, Any]) -> dict[str, int]:
    """What the named dimensions of the inputs are in these feeds."""
    shapes, found = Shapes(model), {}
    for tensor in model.graph.inputs:
        array = feeds.get(tensor.name)
        for dim, size in zip(shapes.dims(tensor) or (), np.shape(array) if array is not None else (), strict=False):
            for name in symbols(dim or 0):
                assert str(dim) == name or str(dim) == f"`{name}`"
                assert found.setdefault(name, size) == size, f"{name} is {found[name]} and {size}"
    return found


def contradictions(shapes: Shapes, tensor: Tensor, actual: np.ndarray, named: Mapping[str, int]) -> Iterator[str]:
    """Every claim about `tensor` that `actual` contradicts."""
    found, dtype = shapes.inferred(tensor), actual.dtype
    if found.dtype not in (None, np.dtype(object) if dtype.kind in "US" else dtype):
        yield f"{tensor}: {found.dtype} is {dtype}"
    if found.dims is None:
        return
    claimed = [None if d is None else evaluate(d, named) for d in found.dims]
    agree = len(claimed) == actual.ndim and all(c is None or c == d for c, d in zip(claimed, actual.shape, strict=True))
    if not agree:
        yield f"{tensor}: {shapes.shape(tensor)} at {dict(named)} is {actual.shape}"
    elif (value := shapes.value(tensor)) is not None:
        known = [None if e is None else evaluate(e, named) for e in value.elements]
        if value.shape != actual.shape or not all(map(_same, known, actual.ravel().tolist())):
            yield f"{tensor}: {value} at {dict(named)} is {actual}"


def _same(claimed: Any, actual: Any) -> bool:
    """Floating quotients are claimed before they are rounded."""
    if claimed is None or claimed == actual:
        return True
    return isinstance(actual, float) and abs(float(claimed) - actual) <= 1e-6 * abs(actual)


def fully_known(shapes: Shapes, tensor: Tensor) -> bool:
    """Whether every dimension is a number or an expression."""
    dims = shapes.dims(tensor)
    return dims is not None and None not in dims


def intermediates(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every tensor of its main graph as an output."""
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    known = {output.name for output in result.graph.output}
    for node in result.graph.node:
        for name in node.output:
            if name and name not in known:
                result.graph.output.append(helper.make_empty_tensor_value_info(name))
    return result
