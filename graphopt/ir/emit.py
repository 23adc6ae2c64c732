"""Graph to GraphProto: objects become names, once each; a `Weights` decides where each payload goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from graphopt.errors import OutputError
from graphopt.ir import walk
from graphopt.ir.adopt import adopt
from graphopt.ir.declared import fill
from graphopt.ir.edit import METADATA_SINCE, Draft
from graphopt.ir.model import Model
from graphopt.ir.storage import Sparse
from graphopt.ir.types import AttributeRef, Constant, EmptyList, Graph, Node, Tensor, Variable
from graphopt.ir.weights import Weights
from graphopt.ir.words import quoted

_DEFAULTS = 4
"""The IR version from which on an initializer need not be listed as an input."""
_PYTHON_TYPES: dict[type, int] = {
    float: AttributeProto.FLOAT, int: AttributeProto.INT, str: AttributeProto.STRING,
    np.ndarray: AttributeProto.TENSOR, Graph: AttributeProto.GRAPH,
}  # fmt: skip


def emit(model: Model, weights: Weights) -> ModelProto:
    """The message of a model, with payloads wherever `weights` puts them. OutputError if names are ambiguous."""
    adopt(model.graph)
    proto = ModelProto()
    if model.extra is not None:
        proto.CopyFrom(model.extra)
    proto.ir_version = model.ir_version
    for domain, version in model.opsets.items():
        proto.opset_import.add(domain=domain, version=version)
    _texts(proto, model, ("producer_name", "producer_version", "domain", "doc_string"))
    if model.model_version:
        proto.model_version = model.model_version
    _entries(proto.metadata_props, model.metadata)
    proto.functions.extend(model.functions)
    _Emitter(weights, model.ir_version).graph(model.graph, proto.graph, _Names(None), _undeclared(model.graph))
    return proto


def call_proto(call: Node | Draft, names: Mapping[Tensor, str]) -> NodeProto:
    """The message of one node, in a graph or not yet, with the names that `names` gives to tensors; payloads inside."""
    proto = NodeProto()
    _Emitter(Weights(), METADATA_SINCE).node(call, proto, _Given(names))
    return proto


def constant_proto(constant: Constant, name: str) -> TensorProto:
    """The message of a constant under another name, its payload inside."""
    proto = TensorProto()
    Weights().put(proto, constant.stored)
    proto.name = name
    return proto


def constants(model: Model) -> Iterator[Constant]:
    """Every constant that a written model holds, once: declared, used, defaults, and values of attributes."""
    seen: set[Constant] = set()
    for graph in walk.graphs(model.graph):
        for constant in (*graph.initializers, *graph.defaults.values(), *_used(graph)):
            if constant not in seen:
                seen.add(constant)
                yield constant


def _used(graph: Graph) -> Iterator[Constant]:
    for node in graph.nodes:
        for tensor in node.inputs:
            if isinstance(tensor, Constant):
                yield tensor
        for value in node.attrs.values():
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, Constant):
                    yield item
    for tensor in graph.outputs:
        if isinstance(tensor, Constant):
            yield tensor


def _undeclared(graph: Graph) -> list[Constant]:
    """The constants that nodes or outputs use, and no graph declares."""
    found: dict[Constant, None] = {}
    declared: set[Constant] = set()
    for inner in walk.graphs(graph):
        declared.update(inner.initializers)
        for tensors in (*(node.inputs for node in inner.nodes), inner.outputs):
            for tensor in tensors:
                if isinstance(tensor, Constant):
                    found[tensor] = None
    return [constant for constant in found if constant not in declared]


class _Names:
    """What each name means in one graph, inside the graphs around it."""

    def __init__(self, outer: _Names | None) -> None:
        self.outer = outer
        self.known: dict[str, Tensor] = {}

    def inner(self) -> _Names:
        """The names of a graph inside this one."""
        return _Names(self)

    def define(self, tensor: Tensor) -> str:
        if not tensor.name or tensor.name in self.known:
            raise OutputError(
                f"two tensors of one graph are named {quoted(tensor.name)}: a pass or script made one too many"
            )
        self.known[tensor.name] = tensor
        return tensor.name

    def refer(self, tensor: Tensor) -> str:
        """The name of a tensor, which must mean just that tensor here."""
        name = tensor.name
        names: _Names | None = self
        while names is not None:
            found = names.known.get(name)
            if found is tensor:
                return name
            if found is not None:
                raise OutputError(
                    f"two tensors that can see each other are named {quoted(name)}: a pass or script made one too many"
                )
            names = names.outer
        if name:
            raise OutputError(
                f"{quoted(name)} is read before anything defines it: a pass or script left it without a producer"
            )
        return name


class _Given(_Names):
    """The names that a map gives, else the tensors' own: for a part of a graph on its own."""

    def __init__(self, given: Mapping[Tensor, str]) -> None:
        super().__init__(self)
        self.given = given

    def define(self, tensor: Tensor) -> str:
        return self.given.get(tensor, tensor.name)

    refer = define

    def inner(self) -> _Names:
        return self


class _Emitter:
    def __init__(self, weights: Weights, ir_version: int) -> None:
        self.weights, self.ir_version = weights, ir_version

    def graph(self, graph: Graph, proto: GraphProto, names: _Names, undeclared: Sequence[Constant] = ()) -> None:
        """Fill `proto`; `undeclared` are constants to declare here besides the graph's own."""
        _texts(proto, graph, ("name", "doc_string"))
        _entries(proto.metadata_props, graph.metadata)
        proto.quantization_annotation.extend(graph.quantization_annotation)
        declared = [*graph.initializers, *undeclared]
        for variable in graph.inputs:
            names.define(variable)
        for constant in declared:
            names.define(constant)
        for constant in (*declared, *graph.defaults.values()):
            self.initializer(proto, constant)
        for tensor in self.inputs(graph, declared, outermost=names.outer is None):
            fill(proto.input.add(), tensor)
        for node in graph.nodes:
            self.node(node, proto.node.add(), names)
        for tensor in graph.outputs:
            names.refer(tensor)
            fill(proto.output.add(), tensor)
        _value_info(proto, graph, declared)

    def inputs(self, graph: Graph, declared: Sequence[Constant], *, outermost: bool) -> Iterable[Tensor]:
        """The listed inputs: before IR version 4 they include the initializers."""
        if self.ir_version >= _DEFAULTS:
            return graph.inputs
        tensors: tuple[Tensor, ...] = (*graph.inputs, *declared)
        named = {tensor.name: tensor for tensor in tensors}
        listed = [named.pop(name) for name in graph.listed_inputs if name in named]
        rest = [tensor for tensor in named.values() if outermost or isinstance(tensor, Variable)]
        return (*listed, *rest)

    def initializer(self, proto: GraphProto, constant: Constant) -> None:
        stored = constant.stored
        if not isinstance(stored, Sparse):
            self.tensor(proto.initializer.add(), constant)
            return
        sparse = proto.sparse_initializer.add(dims=stored.shape)
        for part, target in zip(stored.parts, (sparse.values, sparse.indices), strict=True):
            self.weights.inside(target, part)
        _describe(sparse.values, constant)

    def tensor(self, proto: TensorProto, constant: Constant) -> None:
        self.weights.put(proto, constant.stored)
        _describe(proto, constant)

    def node(self, node: Node | Draft, proto: NodeProto, names: _Names) -> None:
        proto.input.extend([names.refer(tensor) for tensor in node.inputs])
        proto.op_type = node.op
        _texts(proto, node, ("name", "domain", "overload", "doc_string"))
        for name, value in node.attrs.items():
            self.attribute(proto.attribute.add(name=name), value, names)
        if node.metadata:
            _entries(proto.metadata_props, node.metadata)
        if node.extra is not None:
            _add_extra(proto, node.extra)
        proto.output.extend([tensor.name and names.define(tensor) for tensor in node.outputs])

    def attribute(self, proto: AttributeProto, value: object, names: _Names) -> None:
        """Fill `proto`, which has its name, from any value that `Node.attrs` may hold."""
        if isinstance(value, AttributeProto):
            name = proto.name
            proto.CopyFrom(value)
            proto.name = name
        elif isinstance(value, EmptyList):
            proto.type = value.type
        elif isinstance(value, AttributeRef):
            proto.ref_attr_name = value.name
            proto.type = _PYTHON_TYPES.get(value.type, value.type)
        elif isinstance(value, list | tuple):
            self.items(proto, value, names)
        else:
            self.item(proto, value, names)

    def item(self, proto: AttributeProto, value: object, names: _Names) -> None:
        match value:
            case int() | np.integer() | np.bool_():
                proto.type, proto.i = AttributeProto.INT, int(value)
            case float() | np.floating():
                proto.type, proto.f = AttributeProto.FLOAT, float(value)
            case str() | bytes():
                proto.type, proto.s = AttributeProto.STRING, _bytes(value)
            case Constant():
                proto.type = AttributeProto.TENSOR
                self.tensor(proto.t, value)
            case Graph():
                proto.type = AttributeProto.GRAPH
                self.graph(value, proto.g, names.inner())
            case _:
                raise OutputError(f"the attribute {quoted(proto.name)} cannot be a {type(value).__name__}")

    def items(self, proto: AttributeProto, values: Sequence[Any], names: _Names) -> None:
        if not values:
            raise OutputError(f"the empty attribute {quoted(proto.name)} needs a type: use EmptyList")
        if all(isinstance(value, int | np.integer) for value in values):
            proto.type = AttributeProto.INTS
            proto.ints.extend([int(value) for value in values])
        elif all(isinstance(value, float | np.floating | int | np.integer) for value in values):
            proto.type = AttributeProto.FLOATS
            proto.floats.extend([float(value) for value in values])
        elif all(isinstance(value, str | bytes) for value in values):
            proto.type = AttributeProto.STRINGS
            proto.strings.extend([_bytes(value) for value in values])
        elif all(isinstance(value, Constant) for value in values):
            proto.type = AttributeProto.TENSORS
            for value in values:
                self.tensor(proto.tensors.add(), value)
        elif all(isinstance(value, Graph) for value in values):
            proto.type = AttributeProto.GRAPHS
            for value in values:
                self.graph(value, proto.graphs.add(), names.inner())
        else:
            kinds = sorted({type(value).__name__ for value in values})
            raise OutputError(f"the attribute {quoted(proto.name)} cannot be a list of {' and '.join(kinds)}")


def _texts(proto: Any, held: Any, fields: Sequence[str]) -> None:
    for name in fields:
        text = getattr(held, name)
        if text:
            setattr(proto, name, text)


def _entries(target: Any, metadata: dict[str, str]) -> None:
    for key, value in metadata.items():
        target.add(key=key, value=value)


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _describe(proto: TensorProto, constant: Constant) -> None:
    _texts(proto, constant, ("name", "doc_string"))
    _entries(proto.metadata_props, constant.metadata)


def _add_extra(proto: NodeProto, extra: NodeProto) -> None:
    proto.device_configurations.extend(extra.device_configurations)
    documents = {attribute.name: attribute.doc_string for attribute in extra.attribute}
    for attribute in proto.attribute:
        if attribute.name in documents:
            attribute.doc_string = documents[attribute.name]


def _value_info(proto: GraphProto, graph: Graph, declared: Iterable[Constant]) -> None:
    """What is known of the tensors inside, in node order, after what the file says of initializers."""
    interface: set[Tensor] = {*graph.inputs, *graph.outputs}
    listed = {info.name for info in proto.input}
    for constant in declared:
        if constant.info is not None and constant.name not in listed and constant not in interface:
            fill(proto.value_info.add(), constant)
    for node in graph.nodes:
        for tensor in node.outputs:
            known = tensor.dtype is not None or tensor.shape is not None or tensor.info is not None
            if known and tensor.name and tensor not in interface:
                fill(proto.value_info.add(), tensor)
