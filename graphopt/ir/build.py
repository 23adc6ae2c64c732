"""GraphProto to Graph: names become objects, once each; what a name cannot mean is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import onnx
from onnx import AttributeProto, GraphProto, NodeProto

from graphopt.errors import ModelError
from graphopt.ir import walk
from graphopt.ir.declared import declare
from graphopt.ir.tensors import Tensors, attribute_kind
from graphopt.ir.types import AttributeRef, Constant, EmptyList, Graph, Node, Tensor, Variable
from graphopt.ir.words import check_text, check_texts, quoted

_DEFAULTS = 4
"""The IR version from which on an initializer that is an input is only its default."""


class Scope:
    """The names that one graph defines, inside those of the graphs around it."""

    def __init__(self, tensors: Tensors, opsets: dict[str, int], ir_version: int, outer: Scope | None = None) -> None:
        self.tensors, self.opsets, self.ir_version, self.outer = tensors, opsets, ir_version, outer
        self.known: dict[str, Tensor] = {}
        self.ahead: dict[str, Variable] = {}
        self.protos: Iterable[NodeProto] = ()
        self.unsorted = False

    def inner(self) -> Scope:
        """The scope of a graph nested in this one."""
        return Scope(self.tensors, self.opsets, self.ir_version, self)

    def define(self, tensor: Tensor, what: str) -> None:
        """Raises ModelError if the graph already has something of that name, or it has none."""
        check_text(tensor.name)
        if not tensor.name:
            raise ModelError(f"an {what} has no name")
        if self.known.setdefault(tensor.name, tensor) is not tensor:
            raise ModelError(f"{what} {quoted(tensor.name)} is defined twice in one graph")

    def find(self, name: str) -> Tensor | None:
        """What `name` means here: something defined before, here or outside, or by a later node."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.known:
                return scope.known[name]
            scope = scope.outer
        return self._later(name)

    def _later(self, name: str) -> Tensor | None:
        scope: Scope | None = self
        while scope is not None:
            if not scope.unsorted:
                scope.look_ahead()
            if name in scope.ahead:
                return scope.ahead[name]
            scope = scope.outer
        return None

    def look_ahead(self) -> None:
        """The graph is not in order: make the tensors that its remaining nodes produce."""
        self.unsorted = True
        names = (name for proto in self.protos for name in proto.output if name)
        self.ahead = {name: Variable(name) for name in names if name not in self.known}

    def output(self, name: str) -> Variable:
        """A new tensor for the output of a node."""
        tensor = self.ahead.pop(name, None) or Variable(name)
        if name:
            self.define(tensor, "tensor")
        return tensor


def named(entries: Iterable[onnx.StringStringEntryProto]) -> dict[str, str]:
    """Metadata as a dictionary, in file order."""
    metadata = {entry.key: entry.value for entry in entries}
    if metadata:
        check_text(*metadata, *metadata.values())
    return metadata


def build(proto: GraphProto, scope: Scope) -> Graph:
    """The graph in a message. Raises ModelError if a name is defined twice or not at all, or on a cycle."""
    check_text(proto.name, proto.doc_string)
    graph = Graph(name=proto.name, doc_string=proto.doc_string, opsets=scope.opsets)
    graph.metadata = named(proto.metadata_props)
    for annotation in proto.quantization_annotation:
        copy = onnx.TensorAnnotation()
        copy.CopyFrom(annotation)
        check_texts(copy)
        graph.quantization_annotation.append(copy)
    _begin(graph, proto, scope)
    _add_nodes(graph, proto, scope)
    _end(graph, proto, scope)
    if scope.unsorted:
        _sort(graph)
    return graph


def _begin(graph: Graph, proto: GraphProto, scope: Scope) -> None:
    """Inputs and initializers."""
    constants = _constants(proto, scope.tensors)
    for info in proto.input:
        listed = constants.get(info.name)
        if listed is not None and scope.ir_version < _DEFAULTS:
            declare(listed, info)
        else:
            variable = Variable(info.name)
            declare(variable, info)
            scope.define(variable, "input")
            graph.inputs.append(variable)
    if len(graph.inputs) < len(proto.input):
        graph.listed_inputs = [info.name for info in proto.input]
    for constant in constants.values():
        overridden = scope.known.get(constant.name)
        if isinstance(overridden, Variable):
            graph.defaults[overridden] = constant
        else:
            scope.define(constant, "initializer")
            graph.initializers.append(constant)


def _constants(proto: GraphProto, tensors: Tensors) -> dict[str, Constant]:
    """The initializers by name."""
    dense = (tensors.constant(initializer) for initializer in proto.initializer)
    sparse = (tensors.sparse(initializer) for initializer in proto.sparse_initializer)
    constants: dict[str, Constant] = {}
    for constant in (*dense, *sparse):
        if constants.setdefault(constant.name, constant) is not constant:
            raise ModelError(f"initializer {quoted(constant.name)} is defined twice in one graph")
    return constants


def _add_nodes(graph: Graph, proto: GraphProto, scope: Scope) -> None:
    infos = {info.name: info for info in proto.value_info}
    for constant in graph.initializers:
        if constant.name in infos:
            declare(constant, infos[constant.name])
    scope.protos = proto.node
    for node_proto in proto.node:
        try:
            node = _node(node_proto, scope)
        except ModelError as error:
            raise type(error)(f"{_shown(node_proto)}: {error}") from error
        graph.nodes.append(node)
        if infos:
            for tensor in node.outputs:
                info = infos.get(tensor.name)
                if info is not None:
                    declare(tensor, info)


def _end(graph: Graph, proto: GraphProto, scope: Scope) -> None:
    """Outputs: tensors of this graph, or of one around it."""
    for info in proto.output:
        tensor = scope.find(info.name)
        if tensor is None:
            raise ModelError(f"the output {quoted(info.name)} of graph {quoted(graph.name)} is not defined")
        if isinstance(tensor, Variable) and scope.known.get(info.name) is tensor and tensor.producer:
            declare(tensor, info)
        graph.outputs.append(tensor)


def _sort(graph: Graph) -> None:
    """Bring the nodes into an order in which every tensor is made before it is read."""
    try:
        walk.sort(graph)
    except ValueError as error:
        raise ModelError(f"graph {quoted(graph.name)} has a cycle: {error}") from error
    waiting: set[Node | None] = set(graph.nodes)
    for node in graph.nodes:
        if any(tensor.producer in waiting for tensor in walk.uses(node)):
            raise ModelError(f"graph {quoted(graph.name)} has a cycle: {node!r} reads its own output")
        waiting.remove(node)


def _shown(proto: NodeProto) -> str:
    kind = quoted(f"{proto.domain}::{proto.op_type}" if proto.domain else proto.op_type)
    return f"node {quoted(proto.name or ', '.join(map(str, proto.output)))} ({kind})"


def _node(proto: NodeProto, scope: Scope) -> Node:
    inputs = []
    for name in proto.input:
        tensor = scope.find(name) if name else Variable("")
        if tensor is None:
            raise ModelError(f"its input {quoted(name)} is not defined")
        inputs.append(tensor)
    attrs = {attribute.name: _value(attribute, scope) for attribute in proto.attribute}
    check_text(proto.op_type, proto.name, proto.domain, proto.overload, proto.doc_string, *attrs)
    if len(attrs) < len(proto.attribute):
        raise ModelError("it has two attributes of the same name")
    return Node(
        proto.op_type,
        proto.name,
        attrs,
        inputs,
        [scope.output(name) for name in proto.output],
        proto.domain,
        proto.overload,
        proto.doc_string,
        named(proto.metadata_props),
        _extra(proto),
    )


def _extra(proto: NodeProto) -> NodeProto | None:
    """Placement on devices and the doc strings of attributes."""
    documented = [attribute for attribute in proto.attribute if attribute.doc_string]
    if not documented and not proto.device_configurations:
        return None
    extra = NodeProto()
    extra.device_configurations.extend(proto.device_configurations)
    check_texts(extra)
    for attribute in documented:
        check_text(attribute.doc_string)
        extra.attribute.add(name=attribute.name, doc_string=attribute.doc_string)
    return extra


def _text(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _value(proto: AttributeProto, scope: Scope) -> object:
    kind = attribute_kind(proto)
    if proto.ref_attr_name:
        return AttributeRef(proto.ref_attr_name, kind)
    read = _VALUES.get(kind)
    if read is None:
        copy = AttributeProto()
        copy.CopyFrom(proto)
        copy.ClearField("doc_string")
        check_texts(copy)
        scope.tensors.bring_in(copy)
        return copy
    value = read(proto, scope)
    return EmptyList(kind) if value == [] else value


_VALUES: dict[int, Callable[[AttributeProto, Scope], object]] = {
    AttributeProto.FLOAT: lambda proto, _: proto.f,
    AttributeProto.INT: lambda proto, _: proto.i,
    AttributeProto.STRING: lambda proto, _: _text(proto.s),
    AttributeProto.TENSOR: lambda proto, scope: scope.tensors.constant(proto.t),
    AttributeProto.GRAPH: lambda proto, scope: build(proto.g, scope.inner()),
    AttributeProto.FLOATS: lambda proto, _: list(proto.floats),
    AttributeProto.INTS: lambda proto, _: list(proto.ints),
    AttributeProto.STRINGS: lambda proto, _: [_text(content) for content in proto.strings],
    AttributeProto.TENSORS: lambda proto, scope: [scope.tensors.constant(t) for t in proto.tensors],
    AttributeProto.GRAPHS: lambda proto, scope: [build(g, scope.inner()) for g in proto.graphs],
}
