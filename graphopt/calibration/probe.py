"""A model that also gives digests of its inner tensors: least, largest, and some values drawn at random.

The runtime computes them beside the model, so that no more of a tensor is kept than that. A digest is a float32 vector:
the minimum, the maximum, the number of values, their sum, then those at given positions, which the caller draws anew
for every run. Minimum and maximum may pass over a NaN; the sum does not. A tensor in the body of an `If`, `Loop` or
`Scan` has one for each time that the body runs: bodies return what they computed, and a branch that was not taken
returns `NOTHING`, no values, as an empty tensor does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from graphopt.analysis.shapes import Shapes
from graphopt.ir import walk
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Graph, Node, Tensor, Variable, subgraphs

HEAD = 4
"""The elements of a digest before its values: minimum, maximum, number and sum."""
NUMBER = 2
"""The place of the number."""
NOTHING = (np.inf, -np.inf, 0.0, 0.0)
_OPSET, _IR = 13, 8
"""Of a probe for a model that does not import ai.onnx, and the version from which on initializers are no inputs."""
_DIRECTIONS = ("scan_output_axes", "scan_output_directions")
_SINCE_NO_BATCH = 9
"""The opset from which on Scan has no batch axis of its own."""


@dataclass(frozen=True)
class Probe:
    """proto: the model. outputs: the digest of each tensor that has one. positions: the input that takes them.

    draws: how many; with none there is no such input. A position is a float64 from 0 up to, not including, 1.
    """

    proto: ModelProto
    outputs: dict[Tensor, str]
    positions: str
    draws: int


def probe(model: Model, tensors: Iterable[Tensor], proto: ModelProto, draws: int) -> Probe:
    """Add digests to `proto`, which `model` was written as.

    Left without one are constants, and tensors in bodies that cannot return any more than they do: those of functions,
    and of operators other than If, Loop and Scan.
    """
    maker = _Maker({tensor for tensor in tensors if isinstance(tensor, Variable)}, model, proto, draws)
    outputs = dict(maker.graph(model.graph, proto.graph))
    maker.declare()
    for name in outputs.values():
        proto.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return Probe(proto, outputs, maker.positions, draws)


def _prefix(model: Model) -> str:
    """What no name in the model begins with."""
    names = [tensor.name for tensor in walk.tensors(model.graph)]
    prefix = "digest"
    while any(name.startswith(prefix) for name in names):
        prefix += "_"
    return prefix


class _Maker:
    """Writes digests into one message. wanted: the tensors. Names all begin with `prefix`."""

    def __init__(self, wanted: Collection[Tensor], model: Model, proto: ModelProto, draws: int) -> None:
        self.wanted, self.prefix, self.proto, self.draws = wanted, _prefix(model), proto, draws
        self.shapes = Shapes(model)
        self.positions = self.shared("positions")
        self.count = 0

    def declare(self) -> None:
        """The constants and the input that all digests share."""
        graph = self.proto.graph
        if not any(one.domain == "" for one in self.proto.opset_import):
            self.proto.opset_import.add(domain="", version=_OPSET)
        self.proto.ir_version = max(self.proto.ir_version, _IR)
        shared: dict[str, Array] = {
            "flat": np.array([-1], np.int64),
            "filler": np.zeros(1, np.float32),
            "nothing": np.array([*NOTHING, *[0.0] * self.draws], np.float32),
        }
        graph.initializer.extend(numpy_helper.from_array(array, self.shared(name)) for name, array in shared.items())
        if self.draws:
            graph.input.append(helper.make_tensor_value_info(self.positions, TensorProto.DOUBLE, [self.draws]))

    def shared(self, name: str) -> str:
        return f"{self.prefix}.{name}"

    def name(self) -> str:
        self.count += 1
        return f"{self.prefix}.{self.count}"

    def graph(self, graph: Graph, proto: GraphProto) -> list[tuple[Tensor, str]]:
        """Add the digests of what the graph, and those inside it, define; they can be read in this graph."""
        found: list[tuple[Tensor, str]] = []
        for node, message in zip(graph.nodes, list(proto.node), strict=True):
            if node.attrs and next(subgraphs(node), None) is not None:
                found += self.lifted(node, message)
        own = [*graph.inputs, *(tensor for node in graph.nodes for tensor in node.outputs)]
        return found + [(tensor, self.digest(tensor, proto)) for tensor in own if tensor in self.wanted]

    def digest(self, tensor: Tensor, proto: GraphProto) -> str:
        """The nodes that compute a digest. A value is appended that is never drawn, unless the tensor is empty."""
        name = self.name()

        def add(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
            made = f"{name}.{output}" if output else name
            proto.node.append(helper.make_node(operator, inputs, [made], **attributes))
            return made

        named = tensor.name
        if self.shapes.dtype(tensor) != np.float32:
            named = add("Cast", [named], "values", to=TensorProto.FLOAT)
        # Before anything else reads it, so that the runtime need not copy.
        values = add("Reshape", [named, self.shared("flat")], "flat")
        size = add("Shape", [values], "size")
        parts = [
            add("ReduceMin", [values], "low"),
            add("ReduceMax", [values], "high"),
            add("Cast", [size], "number", to=TensorProto.FLOAT),
            add("ReduceSum", [values], "total"),
        ]
        if self.draws:
            filled = values
            if not self.never_empty(tensor):
                filled = add("Concat", [values, self.shared("filler")], "filled", axis=0)
            places = add("Mul", [self.positions, add("Cast", [size], "length", to=TensorProto.DOUBLE)], "places")
            parts.append(add("Gather", [filled, add("Cast", [places], "indices", to=TensorProto.INT64)], "drawn"))
        return add("Concat", parts, "", axis=0)

    def never_empty(self, tensor: Tensor) -> bool:
        """Whether a tensor is known to have elements, whatever its batch is."""
        shape = tensor.shape or self.shapes.shape(tensor)
        return shape is not None and all(isinstance(dim, int) and dim > 0 for dim in shape[1:])

    def lifted(self, node: Node, message: NodeProto) -> list[tuple[Tensor, str]]:
        """The digests of what the bodies of a node define, as further outputs of the node."""
        bodies = [(name, value) for name, value in node.attrs.items() if isinstance(value, Graph)]
        messages = {one.name: one for one in message.attribute}
        pairs = [(graph, messages[name].g) for name, graph in bodies]
        if node.domain or node.op not in ("If", "Loop", "Scan") or self._has_batch_axis(node):
            return []
        inside = [(tensor, inner, body) for graph, body in pairs for tensor, inner in self.graph(graph, body)]
        found: list[tuple[Tensor, str]] = []
        for tensor, inner, body in inside:
            for _, other in pairs:
                self._return(other, inner if other is body else self._nothing(other))
            found.append((tensor, self.name()))
            message.output.append(found[-1][1])
        for name in _DIRECTIONS:
            if name in messages:
                _extend(messages[name], len(found))
        return found

    def _has_batch_axis(self, node: Node) -> bool:
        version = next((one.version for one in self.proto.opset_import if one.domain == ""), _OPSET)
        return node.op == "Scan" and version < _SINCE_NO_BATCH

    def _nothing(self, body: GraphProto) -> str:
        name = self.name()
        body.node.append(helper.make_node("Identity", [self.shared("nothing")], [name]))
        return name

    def _return(self, body: GraphProto, name: str) -> None:
        body.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))


def _extend(attribute: AttributeProto, count: int) -> None:
    """One more zero for each further scan output: the usual axis, and the usual direction."""
    attribute.ints.extend([0] * count)
