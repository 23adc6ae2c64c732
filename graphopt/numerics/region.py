"""The two small models of a rewrite: the nodes that go, and the nodes that come, between the same inputs.

Inputs of the region become inputs of both models. Constants that the rule looked at, and small ones, keep their
values; large ones that it never looked at become inputs too, so that equal layers with other weights are one check.
Integer vectors such as the target of a Reshape are not invented: their producers are taken into both models, back to
tensors whose shape is known; so are `Constant` nodes, whose values a rule may have looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from graphopt.ir import walk
from graphopt.ir.dtypes import INTEGERS, elem_type
from graphopt.ir.edit import UNNAMED, Draft, Rewrite
from graphopt.ir.emit import call_proto, constant_proto
from graphopt.ir.types import Constant, Graph, Model, Node, Tensor
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
        self.producers: dict[Tensor, Call] = {t: draft for draft in rewrite.after for t in draft.outputs if t.name}
        self.context: dict[Node, None] = {}

    def build(self) -> Region:
        old, new = list(self.rewrite.replace), list(self.rewrite.replace.values())
        boundary = self._boundary([*old, *new])
        embedded = [t for t in boundary if isinstance(t, Constant) and self._keeps_values(t)]
        inputs = [t for t in boundary if t not in set(embedded)]
        before, after = self._slice(old)[0], self._slice(new)[0]
        names = self._names([*before, *after], inputs, embedded)
        specs = tuple(tuple(self._spec(t, names[t], shapes) for t in inputs) for shapes in self.bindings)
        messages = [self._model(calls, wanted, names, inputs, embedded) for calls, wanted in ((before, old), (after, new))]
        heavy = any(tensor.nbytes > SMALL for tensor in embedded)
        return Region(messages[0], messages[1], tuple(dict.fromkeys(specs)), heavy)

    # ---- which nodes and tensors ----

    def _inside(self, tensor: Tensor) -> Call | None:
        """The call that computes the tensor within the region, or None at its boundary."""
        if tensor in self.producers:
            return self.producers[tensor]
        producer = tensor.producer
        return producer if producer is not None and (producer in self.before or producer in self.context) else None

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
                stack.extend((t, None) for t in reversed(list(dict.fromkeys(_reads(call)))) if t.name)
        return list(order), boundary

    def _boundary(self, wanted: list[Tensor]) -> dict[Tensor, None]:
        """What both models need from outside, after taking in whatever computes integer vectors and unknown shapes."""
        while True:
            calls, boundary = self._slice(wanted)
            if any(nondeterministic(call) for call in calls):
                raise Unverifiable("the region draws random numbers")
            missing = [producer for tensor in boundary if (producer := self._to_take_in(tensor)) is not None]
            if not missing:
                return boundary
            if len(self.context) + len(missing) > MAX_CONTEXT:
                raise Unverifiable("its shapes depend on too large a part of the model")
            self.context.update(dict.fromkeys(missing))

    def _to_take_in(self, tensor: Tensor) -> Node | None:
        """The producer of a boundary tensor that cannot be fed with made-up values."""
        if isinstance(tensor, Constant) or tensor.producer is None:
            return None
        if tensor.producer.op == "Constant" and not tensor.producer.domain:
            return tensor.producer
        shapes = self.bindings[0]
        dtype, static = shapes.dtype(tensor), shapes.static(tensor)
        vector = dtype in INTEGERS and static is not None and len(static) <= 1
        return tensor.producer if dtype is None or static is None or vector else None

    def _keeps_values(self, constant: Constant) -> bool:
        """Whether the values matter: small ones, ones that the rule read, and ones that the rule made."""
        return constant.nbytes <= SMALL or constant in self.rewrite.reads or not constant.outputs

    # ---- messages ----

    def _names(self, calls: list[Call], inputs: list[Tensor], embedded: list[Tensor]) -> dict[Tensor, str]:
        """Canonical names, so that equal regions are equal bytes; next to nested graphs, tensors keep their own."""
        names: dict[Tensor, str] = {}
        if any(isinstance(value, Graph) for call in calls for value in call.attrs.values()):
            named = [t for call in calls for t in (*_reads(call), *call.outputs)]
            names = {tensor: tensor.name for tensor in named if tensor.name not in ("", UNNAMED)}
        for prefix, group in (("i", inputs), ("c", embedded), ("t", [t for call in calls for t in call.outputs])):
            for tensor in group:
                if tensor.name:
                    names.setdefault(tensor, f"{prefix}{len(names)}")
        return names

    def _spec(self, tensor: Tensor, name: str, shapes: Shapes) -> InputSpec:
        dtype, static = shapes.dtype(tensor), shapes.static(tensor)
        if dtype is None or static is None:
            raise Unverifiable(f"the shape of {tensor.name} is unknown")
        return InputSpec(name, dtype, static, domain_of(tensor, shapes))

    def _model(
        self, calls: list[Call], wanted: list[Tensor], names: dict[Tensor, str], inputs: list[Tensor], embedded: list[Constant]
    ) -> bytes:
        graph = onnx.GraphProto(name="region")
        graph.node.extend(call_proto(call, names) for call in calls)
        outputs = [f"output_{index}" for index in range(len(wanted))]
        for tensor, output in zip(wanted, outputs, strict=True):
            graph.node.add(op_type="Identity", input=[names[tensor]], output=[output])
        used = {name for node in graph.node for name in node.input}
        used.update(names[t] for call in calls if isinstance(call, Node) for t in walk.captures(call))
        graph.initializer.extend(constant_proto(t, names[t]) for t in embedded if names[t] in used)
        shapes = self.bindings[0]
        graph.input.extend(_value_info(names[tensor], shapes.dtype(tensor)) for tensor in inputs)
        dtypes = [shapes.dtype(tensor) for tensor in self.rewrite.replace]
        graph.output.extend(_value_info(*pair) for pair in zip(outputs, dtypes, strict=True))
        model = onnx.ModelProto(ir_version=max(self.model.ir_version, 4), graph=graph)
        for domain, version in self.model.opsets.items():
            model.opset_import.add(domain=domain, version=version)
        if any(node.domain for node in graph.node):
            model.functions.extend(self.model.functions)
        return model.SerializeToString(deterministic=True)


def _reads(call: Call) -> Iterable[Tensor]:
    """What a call reads, captures included."""
    return walk.uses(call) if isinstance(call, Node) else call.inputs


def _value_info(name: str, dtype: np.dtype | None) -> onnx.ValueInfoProto:  # type: ignore[type-arg]
    info = onnx.ValueInfoProto(name=name)
    if dtype is not None:
        info.type.tensor_type.elem_type = elem_type(dtype)
    return info
