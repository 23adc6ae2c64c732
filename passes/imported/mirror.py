"""A graph as onnxscript's rules see it, an onnx_ir model beside ours, and what they propose as drafts of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx

from graphopt.analysis.shapes import Shapes
from graphopt.ir.edit import UNNAMED, Draft
from graphopt.ir.model import Model
from graphopt.ir.reader import load
from graphopt.ir.types import Constant, Node, Tensor, Variable
from graphopt.ir.writer import skeleton

if TYPE_CHECKING:
    import onnx_ir as ir


class Mirror:
    """The model as an onnx_ir model. Weights are decoded only where a rule looks at them.

    model: the copy; rules match on it, and nothing is ever changed there.
    tensors, nodes: ours, for what the top level of the copy consists of.
    """

    def __init__(self, model: Model, shapes: Shapes) -> None:
        import onnx_ir as ir

        self.opsets = model.opsets
        self.model = ir.serde.deserialize_model(skeleton(model))
        self.nodes: dict[ir.Node, Node] = dict(zip(self.model.graph, model.graph.nodes, strict=True))
        self.tensors: dict[ir.Value, Tensor] = {}
        for copy, node in self.nodes.items():
            pairs = [*zip(copy.inputs, node.inputs, strict=False), *zip(copy.outputs, node.outputs, strict=False)]
            self.tensors.update((value, tensor) for value, tensor in pairs if value is not None)
        for value, tensor in self.tensors.items():
            _describe(value, tensor, shapes)

    def drafts(self, nodes: list[ir.Node], held: list[ir.Value]) -> tuple[list[Draft], dict[ir.Value, Tensor]]:
        """New nodes of onnx_ir as drafts, and the tensors that their values have become. held: new initializers."""
        known: dict[ir.Value, Tensor] = {**self.tensors}
        for value in held:
            if value.const_value is not None:
                known[value] = Constant(UNNAMED, value.const_value.numpy())
        made = []
        for copy, attrs in zip(nodes, _attributes(nodes, self.opsets), strict=True):
            inputs = [Variable.empty() if value is None else known[value] for value in copy.inputs]
            while inputs and not inputs[-1].name:
                inputs.pop()
            outputs = [Variable(UNNAMED) for _ in copy.outputs]
            known.update(zip(copy.outputs, outputs, strict=True))
            made.append(Draft(copy.op_type, inputs, outputs, attrs, copy.domain, overload=copy.overload))
        return made, known


def _describe(value: ir.Value, tensor: Tensor, shapes: Shapes) -> None:
    """Tell the copy of a tensor what is known of it: element type, shape, and values if it is constant."""
    import onnx_ir as ir

    dtype, shape = shapes.dtype(tensor), shapes.shape(tensor)
    if dtype is not None:
        value.dtype = ir.DataType.from_numpy(dtype)
    if shape is not None:
        value.shape = ir.Shape(shape)
    if isinstance(tensor, Constant) and dtype is not None and dtype.kind != "O":
        value.const_value = ir.LazyTensor(
            lambda: ir.tensor(tensor.values), dtype=ir.DataType.from_numpy(dtype), shape=ir.Shape(tensor.shape),
            name=tensor.name,
        )  # fmt: skip


def _attributes(nodes: list[ir.Node], opsets: dict[str, int]) -> list[dict[str, Any]]:
    """The attributes of new nodes, read as those of a file are."""
    import onnx_ir as ir

    proto = onnx.ModelProto(ir_version=onnx.IR_VERSION)
    for domain, version in opsets.items():
        proto.opset_import.add(domain=domain, version=version)
    for index, copy in enumerate(nodes):
        node = proto.graph.node.add(op_type=copy.op_type, domain=copy.domain, output=[f"made{index}"])
        node.attribute.extend(ir.serde.serialize_attribute(attribute) for attribute in copy.attributes.values())
    return [node.attrs for node in load(proto).graph.nodes]
