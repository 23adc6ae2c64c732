"""Calls of model-local functions: the body is inferred for the types that the call passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import onnx
from onnx import helper, inliner

from graphopt.analysis.fallback import attribute_protos, proto_of
from graphopt.analysis.inference import Result
from graphopt.analysis.types import UNKNOWN, SymbolicArray, Type
from graphopt.errors import ModelError
from graphopt.ir.inline import check_growth
from graphopt.ir.reader import load

if TYPE_CHECKING:
    from graphopt.analysis.call import Call
    from graphopt.ir.model import Model
    from graphopt.ir.types import Tensor

MOST_NODES = 100_000
"""Bodies of more nodes are not looked into."""


class Inference(Protocol):
    """What is needed of `Shapes`."""

    def __init__(self, model: Model) -> None: ...
    def inferred(self, tensor: Tensor) -> Type:
        """The type of a tensor."""

    def value(self, tensor: Tensor) -> SymbolicArray | None:
        """What is known of the values of a tensor."""

    def assume(self, tensor: Tensor, type_: Type, value: SymbolicArray | None = None) -> None:
        """Take this for what is known of a tensor."""


def infer_function(call: Call, model: Model, overload: str, shapes: type[Inference]) -> Result:
    """Types and values of the outputs of a call: those of the call's inlined body."""
    unknown = Result((UNKNOWN,) * call.outputs, (None,) * call.outputs)
    attributes = attribute_protos(call.attrs)
    if attributes is None:
        return unknown
    inputs = ["" if t is None else f"i{i}" for i, t in enumerate(call.types)]
    node = helper.make_node(call.op, inputs, [f"o{i}" for i in range(call.outputs)], domain=call.domain)
    node.attribute.extend(attributes)
    node.overload = overload
    graph = helper.make_graph(
        [node],
        "call",
        [helper.make_value_info(name, proto_of(UNKNOWN)) for name in inputs if name],
        [helper.make_value_info(name, proto_of(UNKNOWN)) for name in node.output],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in model.opsets.items()]
    whole = helper.make_model(graph, functions=model.functions, opset_imports=opsets, ir_version=model.ir_version)
    body = _inlined(whole)
    if body is None:
        return unknown
    inner = shapes(body)
    given = [i for i, t in enumerate(call.types) if t is not None]
    for tensor, i in zip(body.graph.inputs, given, strict=True):
        inner.assume(tensor, call.type(i), call.value(i))
    outputs = body.graph.outputs
    return Result(tuple(map(inner.inferred, outputs)), tuple(map(inner.value, outputs)))


def _inlined(model: onnx.ModelProto) -> Model | None:
    """The model with all calls replaced by bodies; None for functions that contradict themselves, or explode."""
    try:
        check_growth(model, MOST_NODES)
        inlined = inliner.inline_local_functions(model)
        del inlined.functions[:]  # what could not be inlined stays unknown
        return load(inlined)
    except (onnx.checker.ValidationError, ModelError, RuntimeError):
        return None
