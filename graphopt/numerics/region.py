"""The two small models of a rewrite: the nodes that go, and the nodes that come, between the same inputs.

Inputs of the region become inputs of both models. Constants that the rule looked at, and small ones, keep their
values; large ones that it never looked at become inputs too, so that equal layers with other weights are one check.
Integer vectors such as the target of a Reshape are not invented: their producers are taken into both models, back to
tensors whose shape is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from graphopt.ir import walk
from graphopt.ir.dtypes import INTEGERS, elem_type
from graphopt.ir.edit import Draft, Rewrite
from graphopt.ir.types import Constant, Model, Node, Tensor
from graphopt.ir.writer import node_proto, tensor_proto
from graphopt.numerics.domains import domain_of
from graphopt.numerics.feeds import InputSpec
from graphopt.numerics.nondeterminism import nondeterministic

if TYPE_CHECKING:
    from graphopt.analysis.shapes import Shapes

SMALL = 4096
"""Constants of up to this many bytes keep their values, whether or not a rule looked at them."""
MAX_CONTEXT = 256
"""Nodes that may be taken into a region to compute its integer vectors."""

Call = Node | Draft


class Unverifiable(Exception):  # noqa: N818 - a reason, not an error
    """The region cannot be run on its own; the text says why."""


@dataclass(frozen=True)
class Region:
    """before, after: serialised models with the same inputs and outputs, under canonical names.

    feeds: for each binding of the free dimensions, what to feed. heavy: whether large values are embedded, so that
    comparing two regions for equality would cost more than it saves.
    """

    before: bytes
    after: bytes
    feeds: tuple[tuple[InputSpec, ...], ...]
    heavy: bool


def region(rewrite: Rewrite, model: Model, bindings: Sequence[Shapes]) -> Region:
    """Build the region of a rewrite that has not been committed.

    bindings: the model's shapes with all free dimensions bound, in one or more ways.
    Raises Unverifiable with the reason where no faithful region exists.
    """
    return _Builder(rewrite, model, bindings).build()


class _Builder:
    def __init__(self, rewrite: Rewrite, model: Model, bindings: Sequence[Shapes]) -> None:
        self.rewrite, self.model, self.bindings = rewrite, model, bindings
        self.before = set(rewrite.before)
        self.producers: dict[Tensor, Call] = {
            t: draft for draft in rewrite.after for t in draft.outputs if t.name
        }
        self.context: dict[Node, None] = {}
        self.names: dict[Tensor, str] = {}
        self.heavy = False

    def build(self) -> Region:
        old, new = list(self.rewrite.replace), list(self.rewrite.replace.values())
        boundary = self._with_context(old, new)
        inputs = [tensor for tensor in boundary if not self._embedded(tensor)]
        for tensor in boundary:
            self.names[tensor] = f"{'i' if tensor in inputs else 'c'}{len(self.names)}"
        for index, tensor in enumerate(old):
            self.names.setdefault(tensor, f"o{index}")
        specs = tuple(tuple(self._spec(tensor, shapes) for tensor in inputs) for shapes in self.bindings)
        before = self._model(self._slice(old)[0], old, inputs)
        after = self._model(self._slice(new)[0], new, inputs)
        return Region(before, after, tuple(dict.fromkeys(specs)), self.heavy)

    # ---- which nodes and tensors ----

    def _inside(self, tensor: Tensor) -> Call | None:
        """The call that computes the tensor within the region, or None at its boundary."""
        if tensor in self.producers:
            return self.producers[tensor]
        producer = tensor.producer
        return (
            producer
            if producer is not None and (producer in self.before or producer in self.context)
            else None
        )

    def _slice(self, wanted: Iterable[Tensor]) -> tuple[list[Call], dict[Tensor, None]]:
        """The calls inside the region that compute `wanted`, in topological order, and what they need from outside."""
        order: dict[Call, None] = {}
        boundary: dict[Tensor, None] = {}
        stack: list[tuple[Tensor, Call | None]] = [(tensor, None) for tensor in wanted]
        stack.reverse()
        while stack:
            tensor, done = stack.pop()
            if done is not None:
                order.setdefault(done)
                continue
            call = self._inside(tensor)
            if call is None:
                boundary.setdefault(tensor)
            elif call not in order:
                stack.append((tensor, call))
                stack.extend((needed, None) for needed in reversed(self._needs(call)) if needed.name)
        return list(order), boundary

    @staticmethod
    def _needs(call: Call) -> list[Tensor]:
        if isinstance(call, Node):
            return list(dict.fromkeys(walk.uses(call)))
        return list(call.inputs)

    def _with_context(self, old: list[Tensor], new: list[Tensor]) -> dict[Tensor, None]:
        """The boundary of both models, after taking in whatever computes integer vectors and unknown shapes."""
        while True:
            calls, boundary = self._slice([*old, *new])
            if any(nondeterministic(call) for call in calls):
                raise Unverifiable("the region draws random numbers")
            wanted = [producer for tensor in boundary if (producer := self._to_take_in(tensor)) is not None]
            if not wanted:
                return boundary
            if len(self.context) + len(wanted) > MAX_CONTEXT:
                raise Unverifiable("its shapes depend on too large a part of the model")
            self.context.update(dict.fromkeys(wanted))

    def _to_take_in(self, tensor: Tensor) -> Node | None:
        """The producer of a boundary tensor that cannot be fed with made-up values."""
        if isinstance(tensor, Constant) or tensor.producer is None:
            return None
        shapes = self.bindings[0]
        dtype, static = shapes.dtype(tensor), shapes.static(tensor)
        vector = dtype in INTEGERS and static is not None and len(static) <= 1
        return tensor.producer if dtype is None or static is None or vector else None

    def _embedded(self, tensor: Tensor) -> bool:
        if not isinstance(tensor, Constant):
            return False
        fixed = tensor in self.rewrite.reads or not any(tensor is held for held in _declared(tensor))
        keep = fixed or tensor.nbytes <= SMALL
        self.heavy = self.heavy or (keep and tensor.nbytes > SMALL)
        return keep

    # ---- messages ----

    def _spec(self, tensor: Tensor, shapes: Shapes) -> InputSpec:
        dtype, static = shapes.dtype(tensor), shapes.static(tensor)
        if dtype is None or static is None:
            raise Unverifiable(f"the shape of {tensor.name} is unknown")
        return InputSpec(self.names[tensor], dtype, static, domain_of(tensor, shapes))

    def _name(self, tensor: Tensor) -> str:
        if not tensor.name:
            return ""
        if isinstance(tensor, Constant) and tensor not in self.names:
            raise Unverifiable(f"constant {tensor.name} is used in a way that cannot be isolated")
        return self.names.setdefault(tensor, f"t{len(self.names)}")

    def _model(self, calls: list[Call], wanted: list[Tensor], inputs: list[Tensor]) -> bytes:
        names = dict(self.names)
        outputs = [f"o{index}" for index in range(len(wanted))]
        returned: dict[Tensor, int] = {}
        graph = onnx.GraphProto(name="region")
        computed = {tensor for call in calls for tensor in call.outputs}
        for index, tensor in enumerate(wanted):
            if tensor in computed and tensor not in returned and names.get(tensor, "o").startswith("o"):
                returned[tensor] = index
                names[tensor] = outputs[index]
        self.names, saved = names, self.names
        graph.node.extend(node_proto(call, self._name) for call in calls)
        for index, tensor in enumerate(wanted):
            if returned.get(tensor) != index:
                graph.node.add(op_type="Identity", input=[self._name(tensor)], output=[outputs[index]])
        embedded = [
            tensor for tensor in saved if isinstance(tensor, Constant) and saved[tensor].startswith("c")
        ]
        used = {name for node in graph.node for name in node.input} | _captured(graph.node)
        for tensor in embedded:
            if saved[tensor] in used:
                graph.initializer.append(tensor_proto(tensor, saved[tensor]))
        self.names = saved
        graph.input.extend(_value_info(saved[tensor], self.bindings[0].dtype(tensor)) for tensor in inputs)
        old = list(self.rewrite.replace)
        graph.output.extend(
            _value_info(name, self.bindings[0].dtype(tensor))
            for name, tensor in zip(outputs, old, strict=True)
        )
        return self._wrap(graph).SerializeToString(deterministic=True)

    def _wrap(self, graph: onnx.GraphProto) -> onnx.ModelProto:
        model = onnx.ModelProto(ir_version=max(self.model.ir_version, 4), graph=graph)
        for domain, version in self.model.opsets.items():
            model.opset_import.add(domain=domain, version=version)
        if any(node.domain for node in graph.node):
            model.functions.extend(self.model.functions)
        return model


def _declared(tensor: Constant) -> Iterator[Constant]:
    """Constants that existed before the rewrite: somebody reads them."""
    if tensor.outputs:
        yield tensor


def _captured(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    """Names that graphs inside the nodes use, from wherever."""
    found: set[str] = set()
    stack = [a.g for node in nodes for a in node.attribute if a.HasField("g")]
    while stack:
        graph = stack.pop()
        found.update(output.name for output in graph.output)
        for node in graph.node:
            found.update(node.input)
            stack.extend(a.g for a in node.attribute if a.HasField("g"))
    return found


def _value_info(name: str, dtype: np.dtype | None) -> onnx.ValueInfoProto:  # type: ignore[type-arg]
    info = onnx.ValueInfoProto(name=name)
    if dtype is not None:
        info.type.tensor_type.elem_type = elem_type(dtype)
    return info
