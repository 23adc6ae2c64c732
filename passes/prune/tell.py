"""Every node's ties: its entry of the table, or why the axes around it stay."""

from __future__ import annotations

from graphopt.analysis.shapes import Shapes
from graphopt.ir import walk
from graphopt.ir.model import Model
from graphopt.ir.types import Node, subgraphs
from passes.prune.sites import Sites
from passes.prune.ties import Call, Ties, Untold, entry

MALFORMED = (LookupError, TypeError, ValueError, ArithmeticError)
"""What an entry raises on a call that contradicts itself: then nothing is known of its ties."""


def told(model: Model, shapes: Shapes) -> tuple[Ties, dict[Node, Call]]:
    """The ties of all nodes of the model's graph, and the nodes as calls.

    Graphs inside it keep their axes, and what they capture keeps its own.
    """
    ties = Ties(Sites(shapes))
    opset = model.graph.opset
    calls = {node: Call(node, tuple(node.inputs), tuple(node.outputs), ties, opset) for node in model.graph.nodes}
    for tensor in model.graph.inputs:
        _pin(ties, tensor, "it is an input of the model")
    for call in calls.values():
        _tell(call)
    for tensor in model.graph.outputs:
        _pin(ties, tensor, "it is an output of the model")
    return ties, calls


def _tell(call: Call) -> None:
    node = call.node
    if node.attrs and next(subgraphs(node), None) is not None:
        call.pin_all(f"{node.op} has graphs inside")
        call.pin_all(f"a graph inside {node.op} reads it", walk.captures(node))
        return
    held = entry(node)
    if held is None:
        call.pin_all(f"{node.op} is not in the table of ties")
        return
    try:
        held.ties(call)
    except Untold as reason:
        call.pin_all(f"{node.op}: {reason}")
    except MALFORMED as error:
        call.pin_all(f"{node.op} contradicts itself: {error}")


def _pin(ties: Ties, tensor: object, reason: str) -> None:
    for site in ties.sites.of(tensor) or ():  # type: ignore[arg-type]
        ties.sites.pin(site, reason)
