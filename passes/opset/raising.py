"""From the nodes of one version to those of another, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphopt.analysis.shapes import Shapes
from graphopt.errors import UsageError
from graphopt.ir import dtypes, walk
from graphopt.ir.model import Model
from graphopt.ir.types import Constant, Graph, Node, Tensor
from graphopt.numerics.contract import Contract, combine
from passes.opset.adapters import ADAPTERS, OTHER_KERNELS, REFUSED
from passes.opset.call import Call
from passes.opset.history import exists, next_change, only_gains_types, reviewed, schema, takes


@dataclass(frozen=True)
class Raised:
    """A node and its call in the new version.

    examined: whether more than its element types changed. numerics: how far its numbers may move.
    """

    node: Node
    call: Call
    examined: bool
    numerics: Contract


def plan(model: Model, shapes: Shapes, target: int) -> list[Raised]:
    """The nodes that a version between the model's and `target` changes. Raises UsageError if one cannot be raised."""
    raised = (raise_node(node, node.inputs, shapes, model.graph.opset, target) for node in _nodes(model.graph))
    return [one for one in raised if one is not None]


def raise_node(node: Node, inputs: Sequence[Tensor], shapes: Shapes, version: int, target: int) -> Raised | None:
    """The node with these inputs in the version `target`; None if nothing changes it."""
    call, examined, start = Call(node, inputs, shapes), False, version
    contracts: list[Contract] = []
    while (since := next_change(call.op, version, target)) is not None:
        adapter = ADAPTERS.get((call.op, since))
        examined = examined or adapter is not None or not only_gains_types(call.op, since)
        contracts.extend(held for place, held in OTHER_KERNELS.items() if place == (call.op, since))
        call.attrs.pop("consumed_inputs", None)
        if adapter is not None:
            adapter(call)
        version = since
    if version == start:
        return None
    _check_types(call, target)
    return Raised(node, call, examined, combine(contracts))


def obstacle(graph: Graph, target: int) -> str | None:
    """The first node that has no counterpart in `target`, whatever its inputs, in words; None if there is none."""
    for op in dict.fromkeys(node.op for node in _nodes(graph)):
        found = _obstacle(op, graph.opset, target)
        if found:
            return found
    return None


def _obstacle(op: str, version: int, target: int) -> str | None:
    if not exists(op, version):
        return f"opset {version} has no operator {op}"
    while (since := next_change(op, version, target)) is not None:
        if (op, since) in REFUSED:
            return f"{op} cannot be raised to opset {since}: {REFUSED[op, since]}"
        known = (op, since) in ADAPTERS or (op, since) in reviewed()
        if not known and not only_gains_types(op, since):
            return f"opset {since} changes {op} in a way that is not known here"
        op = {("Upsample", 10): "Resize", ("Scatter", 11): "ScatterElements"}.get((op, since), op)
        version = since
    return None


def _check_types(call: Call, target: int) -> None:
    """Refuse a type that the new version does not take any more."""
    definition = schema(call.op, target)
    for at, tensor in enumerate(call.inputs):
        dtype = call.shapes.dtype(tensor) if tensor.name and not _is_new(tensor) else None
        if dtype is not None and not takes(definition, at, f"tensor({dtypes.name(dtype)})"):
            call.refuse(f"opset {target} takes no {dtypes.name(dtype)} here")


def _is_new(tensor: Tensor) -> bool:
    return tensor.name == "?" and not isinstance(tensor, Constant)


def _nodes(graph: Graph) -> list[Node]:
    return [node for node in walk.nodes(graph) if not node.domain]


def refuse(reason: str) -> None:
    """Raises UsageError."""
    raise UsageError(f"opset: {reason}")
