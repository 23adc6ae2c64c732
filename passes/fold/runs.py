"""Evaluating many constant nodes at once: one small model whose outputs are the tensors that are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from graphopt.ir import values
from graphopt.ir.dtypes import elem_type
from graphopt.ir.emit import call_proto, constant_proto
from graphopt.ir.types import Array, Constant, Node, Stored, Tensor
from graphopt.numerics.failure import RunFailure
from graphopt.pipeline.context import Context

EMBEDDED = 4096
"""Constants of more bytes are not copied into the model but fed."""
SECONDS = 60.0
SMALL = 1 << 16
"""Results of fewer bytes are copied out of the runtime's memory."""

Held = Array | Stored


class Job:
    """Nodes in topological order, to be run together, and the tensors that are wanted of them.

    lazy: values of tensors that are neither constants nor computed by the nodes.
    """

    def __init__(
        self, context: Context, nodes: Sequence[Node], wanted: Sequence[Tensor], lazy: Mapping[Tensor, Held]
    ) -> None:
        self.context, self.nodes, self.wanted, self.lazy = context, list(nodes), list(wanted), lazy

    def run(self) -> dict[Tensor, Array]:
        """The values of the wanted tensors, as the reference runtime computes them. Raises RunFailure."""
        names: dict[Tensor, str] = {}
        feeds: dict[str, Array] = {}
        message = self._message(names, feeds)
        outputs = [names[tensor] for tensor in self.wanted]
        found = self.context.runner.run(message.SerializeToString(), feeds, outputs=outputs, limit_s=SECONDS)
        return {t: v.copy() if v.nbytes < SMALL else v for t, v in zip(self.wanted, found, strict=True)}

    def first_failing(self) -> Node:
        """The first node without which the nodes before it run; of a job that failed."""
        works, fails = 0, len(self.nodes)
        while fails - works > 1:
            middle = (works + fails) // 2
            works, fails = (middle, fails) if self._prefix(middle) else (works, middle)
        return self.nodes[fails - 1]

    def _prefix(self, count: int) -> bool:
        nodes = self.nodes[:count]
        inside = set(nodes)
        ends = [t for n in nodes for t in n.outputs if t.name and not any(r in inside for r in t.outputs)]
        try:
            Job(self.context, nodes, ends, self.lazy).run()
        except RunFailure:
            return False
        return True

    def _message(self, names: dict[Tensor, str], feeds: dict[str, Array]) -> onnx.ModelProto:
        graph = onnx.GraphProto(name="constants")
        for node in self.nodes:
            for tensor in dict.fromkeys(node.inputs):
                if tensor.name and tensor not in names:
                    names[tensor] = f"c{len(names)}"
                    self._give(graph, tensor, names[tensor], feeds)
            names.update((t, f"t{len(names) + i}") for i, t in enumerate(node.outputs) if t.name)
            graph.node.append(call_proto(node, names))
        for tensor in self.wanted:
            info = graph.output.add(name=names[tensor])
            dtype = self.context.shapes.dtype(tensor)
            if dtype is not None:
                info.type.tensor_type.elem_type = elem_type(dtype)
        model = onnx.ModelProto(ir_version=max(self.context.model.ir_version, 4), graph=graph)
        for domain, version in self.context.model.opsets.items():
            model.opset_import.add(domain=domain, version=version)
        return model

    def _give(self, graph: onnx.GraphProto, tensor: Tensor, name: str, feeds: dict[str, Array]) -> None:
        held = self.held(tensor)
        if held.nbytes <= EMBEDDED or held.dtype.kind == "O":
            graph.initializer.append(constant_proto(Constant("", held), name))
            return
        feeds[name] = held.load() if isinstance(held, Stored) else held
        info = graph.input.add(name=name)
        info.type.tensor_type.elem_type = elem_type(held.dtype)
        for dim in held.shape:
            info.type.tensor_type.shape.dim.add(dim_value=dim)

    def held(self, tensor: Tensor) -> Held:
        """The values of a tensor from outside."""
        if tensor in self.lazy:
            return self.lazy[tensor]
        constant = values.constant(tensor)
        if constant is None:
            message = f"{tensor.name} is not constant"
            raise ValueError(message)
        return constant.stored
