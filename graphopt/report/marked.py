"""A model for viewers in which every node shows what became of it, and the nodes that are gone stand beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphopt.ir import walk
from graphopt.ir.model import Model
from graphopt.ir.types import Constant, Node, Tensor, Variable, subgraphs
from graphopt.ir.values import constant
from graphopt.ir.writer import skeleton
from graphopt.report.changes import Difference, NodeChange, State

if TYPE_CHECKING:
    from onnx import ModelProto

DOMAIN = "graphopt.difference"
"""Of marked nodes: no viewer takes them for the operators that they are marks of."""
GONE = "gone/"
"""What the names begin with of tensors and nodes that are only in the original."""
MARKS = {State.CHANGED: "~", State.FUSED: "+", State.ADDED: "+", State.REPLACED: "-", State.REMOVED: "-"}
"""What stands before the operator of a node that was not simply kept; short, as viewers cut long names."""
IR_VERSION = 10
"""The first one with metadata of nodes."""


def marked(model: Model, original: Model, difference: Difference) -> ModelProto:
    """The model with every node marked, and with the nodes of the original that are gone, hanging on what they read.

    It is for looking at: operators have their marks as part of their names, and it holds no large weights. Nodes that
    are gone from nested graphs are left out. Changes `model`.
    """
    for node, change in difference.of.items():
        _mark(node, change)
    known = _known(model, difference)
    for node in original.graph.nodes:
        if node in difference.gone and node.op != "Constant":
            model.graph.nodes.append(_ghost(node, known, difference.gone[node]))
    model.graph.opsets.update({DOMAIN: 1} | {d: v for d, v in original.opsets.items() if d not in model.opsets})
    model.ir_version = max(model.ir_version, IR_VERSION)
    return skeleton(model)


def _mark(node: Node, change: NodeChange) -> None:
    node.metadata["graphopt.state"] = change.state.value
    if change.others:
        node.metadata["graphopt.others"] = " ".join(change.others)
    if change.state is not State.KEPT:
        node.doc_string = _sentence(change)
        node.op, node.domain = f"{MARKS[change.state]} {node.op}", DOMAIN


def _sentence(change: NodeChange) -> str:
    """What became of a node, in words."""
    others = ", ".join(change.others)
    match change.state:
        case State.FUSED:
            return f"Made by {change.rule or 'an optimiser'} from {others}."
        case State.REPLACED:
            return f"Gone from the original; {others} stands for it."
        case State.REMOVED:
            return "Gone from the original; nothing stands for it."
        case State.ADDED:
            return f"Added by {change.rule or 'an optimiser'}."
    return "As in the original, with other attributes or inputs."


def _known(model: Model, difference: Difference) -> dict[str, Tensor]:
    """The tensors of the model by the names that they have in the original."""
    known = {tensor.name: tensor for tensor in walk.tensors(model.graph)}
    for node, twin in difference.twins.items():
        known.update((old.name, new) for old, new in zip(twin.outputs, node.outputs, strict=False) if new.name)
    return known


def _ghost(node: Node, known: dict[str, Tensor], change: NodeChange) -> Node:
    """A copy of a node that is gone. It reads tensors of the model where they are still there; its outputs are new."""
    attrs = {} if any(True for _ in subgraphs(node)) else dict(node.attrs)
    inputs = [_read(tensor, known) for tensor in node.inputs]
    outputs: list[Tensor] = []
    for tensor in node.outputs:
        name = GONE + tensor.name if tensor.name else ""
        outputs.append(Variable(name, tensor.dtype, tensor.shape))
        known[tensor.name] = outputs[-1]
    made = Node(node.op, GONE + node.name if node.name else "", attrs, inputs, outputs, node.domain)
    _mark(made, change)
    return made


def _read(tensor: Tensor, known: dict[str, Tensor]) -> Tensor:
    """What a node that is gone reads; nothing where the tensor is neither in the model nor shown beside it."""
    held = known.get(tensor.name)
    value = constant(tensor) if held is None else None
    if held is None and value is not None and value.stored is not None:
        held = known[tensor.name] = Constant(GONE + tensor.name, value.stored)
    return held if held is not None and tensor.name else Variable("")
