"""The two small models of a rewrite: the nodes that go, and the nodes that come, between the same inputs.

Inputs of the region become inputs of both models. Constants that the rule looked at, and small ones, keep their
values; large ones that it never looked at become inputs too, so that equal layers with other weights are one check.
Integer vectors such as the target of a Reshape are not invented: their producers are taken into both models, back to
tensors whose shape is known; so are `Constant` nodes, whose values a rule may have looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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

    inputs: the tensors at the boundary that must be fed, with their names in the models. heavy: whether large values
    are embedded, so that comparing two regions for equality would cost more than it saves. feeds: for each binding of
    the free dimensions, what to feed; none if the models are equal.
    """

    before: bytes
    after: bytes
    inputs: Mapping[Tensor, str]
    heavy: bool
    feeds: tuple[tuple[InputSpec, ...], ...] = ()


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
        """The region; without feeds if both models are one and the same, which needs no run to be believed."""
        old, new = list(self.rewrite.replace), list(self.rewrite.replace.values())
        alone = self._models(old, new, self._slice([*old, *new])[1])
        if alone.before == alone.after:
            return alone
        boundary = self._boundary([*old, *new])
        if self.context:
            alone = self._models(old, new, boundary)
        specs = tuple(tuple(self._spec(t, name, shapes) for t, name in alone.inputs.items()) for shapes in self.bindings)
        return replace(alone, feeds=tuple(dict.fromkeys(specs)))

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

    def _keeps_values(self, tensor: Tensor) -> bool:
        """Whether a tensor is a constant whose values matter: small, read by the rule, or made by it."""
        if not isinstance(tensor, Constant):
            return False
        return tensor.nbytes <= SMALL or tensor in self.rewrite.reads or not tensor.outputs

    # ---- messages ----

    def _models(self, old: list[Tensor], new: list[Tensor], boundary: dict[Tensor, None]) -> Region:
        """Both models between `boundary` and the replaced tensors, under canonical names: equal regions, equal bytes."""
        before, after = self._slice(old)[0], self._slice(new)[0]
        own = any(isinstance(value, Graph) for call in (*before, *after) for value in call.attrs.values())
        inputs: dict[Tensor, str] = {}
        embedded: dict[Tensor, str] = {}
        for tensor in boundary:
            group, prefix = (embedded, "c") if self._keeps_values(tensor) else (inputs, "i")
            group[tensor] = _own_name(tensor) if own else f"{prefix}{len(group)}"
        messages = [
            self._model(calls, wanted, _names(calls, {**inputs, **embedded}, own=own), inputs, embedded)
            for calls, wanted in ((before, old), (after, new))
        ]
        return Region(*messages, inputs, heavy=any(tensor.nbytes > SMALL for tensor in embedded))

    def _spec(self, tensor: Tensor, name: str, shapes: Shapes) -> InputSpec:
        dtype, static = shapes.dtype(tensor), shapes.static(tensor)
        if dtype is None or static is None:
            raise Unverifiable(f"the shape of {tensor.name} is unknown")
        return InputSpec(name, dtype, static, domain_of(tensor, shapes))

    def _model(
        self,
        calls: list[Call],
        wanted: list[Tensor],
        names: Mapping[Tensor, str],
        inputs: Iterable[Tensor],
        embedded: Iterable[Tensor],
    ) -> bytes:
        graph = onnx.GraphProto(name="region")
        graph.node.extend(call_proto(call, names) for call in calls)
        for node in graph.node:
            node.ClearField("name")
            node.ClearField("doc_string")
            node.ClearField("metadata_props")
        outputs = [f"output_{index}" for index in range(len(wanted))]
        for tensor, output in zip(wanted, outputs, strict=True):
            graph.node.add(op_type="Identity", input=[names[tensor]], output=[output])
        used = {name for node in graph.node for name in node.input}
        used.update(names[t] for call in calls if isinstance(call, Node) for t in walk.captures(call))
        kept = (t for t in embedded if isinstance(t, Constant) and names[t] in used)
        graph.initializer.extend(constant_proto(t, names[t]) for t in kept)
        dtype = self.bindings[0].dtype
        graph.input.extend(_value_info(names[tensor], dtype(tensor)) for tensor in inputs)
        dtypes = map(dtype, self.rewrite.replace)
        graph.output.extend(_value_info(*pair) for pair in zip(outputs, dtypes, strict=True))
        model = onnx.ModelProto(ir_version=max(self.model.ir_version, 4), graph=graph)
        for domain, version in self.model.opsets.items():
            model.opset_import.add(domain=domain, version=version)
        if any(node.domain for node in graph.node):
            model.functions.extend(self.model.functions)
        return model.SerializeToString(deterministic=True)


def _names(calls: list[Call], outside: Mapping[Tensor, str], *, own: bool) -> dict[Tensor, str]:
    """Names by position; calls that hold graphs refer to tensors by name, so next to those (`own`) they keep theirs."""
    names: dict[Tensor, str] = dict(outside)
    for tensor in (t for call in calls for t in call.outputs):
        if tensor.name:
            names.setdefault(tensor, _own_name(tensor) if own and tensor.name != UNNAMED else f"t{len(names)}")
    return names


def _own_name(tensor: Tensor) -> str:
    return tensor.name if tensor.name != UNNAMED else f"?{id(tensor):x}"


def _reads(call: Call) -> Iterable[Tensor]:
    """What a call reads, captures included."""
    return walk.uses(call) if isinstance(call, Node) else call.inputs


def _value_info(name: str, dtype: np.dtype | None) -> onnx.ValueInfoProto:  # type: ignore[type-arg]
    info = onnx.ValueInfoProto(name=name)
    if dtype is not None:
        info.type.tensor_type.elem_type = elem_type(dtype)
    return info
