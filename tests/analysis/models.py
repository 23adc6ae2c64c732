"""Builds graphopt models for the tests of the analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from onnx import numpy_helper

from graphopt.ir import dtypes
from graphopt.ir.types import Constant, Graph, Model, Node, Tensor, Variable

if TYPE_CHECKING:
    from collections.abc import Iterable


def declared(info: onnx.ValueInfoProto) -> Variable:
    if info.type.WhichOneof("value") != "tensor_type":
        return Variable(info.name, type=info.type.WhichOneof("value") or "tensor_type", info=info)
    tensor = info.type.tensor_type
    dims = [d.dim_param or (d.dim_value if d.HasField("dim_value") else None) for d in tensor.shape.dim]
    dtype = dtypes.numpy_dtype(tensor.elem_type) if tensor.elem_type else None
    return Variable(info.name, dtype, dims if tensor.HasField("shape") else None)


def convert(proto: onnx.ModelProto) -> Model:
    opsets = {o.domain if o.domain != "ai.onnx" else "": o.version for o in proto.opset_import}
    graph = _graph(proto.graph, {}, opsets)
    return Model(graph, proto.ir_version, functions=list(proto.functions))


def _graph(proto: onnx.GraphProto, outer: dict[str, Tensor], opsets: dict[str, int]) -> Graph:
    scope = dict(outer)
    for tensor in proto.initializer:
        scope[tensor.name] = Constant(tensor.name, numpy_helper.to_array(tensor))
    infos = {i.name: i for i in (*proto.value_info, *proto.output)}
    initial = {t.name for t in proto.initializer}
    inputs = [declared(i) for i in proto.input if i.name not in initial]
    scope.update((v.name, v) for v in inputs)
    nodes = []
    for node in proto.node:
        for name in node.output:
            scope[name] = declared(infos[name]) if name in infos else Variable(name)
        attrs = {a.name: _attribute(a, scope, opsets) for a in node.attribute}
        nodes.append(
            Node(
                node.op_type,
                node.name,
                attrs,
                _look(node.input, scope),
                _look(node.output, scope),
                node.domain,
            )
        )
    return Graph(nodes, inputs, _look((o.name for o in proto.output), scope), opsets=opsets)


def _look(names: Iterable[str], scope: dict[str, Tensor]) -> list[Tensor]:
    return [scope.setdefault(name, Variable(name)) if name else Variable.empty() for name in names]


def _attribute(proto: onnx.AttributeProto, scope: dict[str, Tensor], opsets: dict[str, int]) -> Any:
    if proto.type == onnx.AttributeProto.GRAPH:
        return _graph(proto.g, scope, opsets)
    if proto.type == onnx.AttributeProto.TENSOR:
        return Constant("", numpy_helper.to_array(proto.t))
    value = onnx.helper.get_attribute_value(proto)
    if isinstance(value, bytes):
        return value.decode()
    return list(value) if not isinstance(value, int | float) and proto.type in range(6, 9) else value
