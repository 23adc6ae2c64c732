"""Every node's ties: its entry of the table, or why the axes around it stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from graphopt.analysis.shapes import Shapes
from graphopt.ir import walk
from graphopt.ir.model import Model
from graphopt.ir.types import Constant, Node, Tensor, subgraphs
from passes.prune.leaf import leaf
from passes.prune.sites import Sites
from passes.prune.ties import Call, Ties, Untold, entry

MALFORMED = (LookupError, TypeError, ValueError, ArithmeticError)
"""What an entry raises on a call that contradicts itself: then nothing is known of its ties."""


def told(model: Model, shapes: Shapes) -> tuple[Ties, dict[Node, Call]]:
    """The ties of all nodes of the model's graph, and the nodes as calls.

    Graphs inside it keep their axes, and what they capture keeps its own.
    """
    ties = Ties(Sites(shapes))
    operands = _Operands(model.graph.nodes)
    opset = model.graph.opset
    calls = {
        node: Call(node, tuple(map(operands.of, node.inputs)), tuple(node.outputs), ties, opset)
        for node in model.graph.nodes
        if not (node.outputs and leaf(node.outputs[0]))
    }
    ties.matrices.update(operands.own)
    ties.makers.update((tensor, call) for call in calls.values() for tensor in call.outputs if tensor.name)
    for tensor in model.graph.inputs:
        _pin(ties, tensor, "it is an input of the model")
    for call in calls.values():
        _tell(call)
    for tensor in model.graph.outputs:
        _pin(ties, tensor, "it is an output of the model")
    return ties, calls


class _Operands:
    """The operands of nodes, with constants as themselves."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.uses: Counter[Constant] = Counter()
        self.held: dict[Tensor, Constant | None] = {}
        self.own: dict[Constant, Constant] = {}
        for node in nodes:
            if not (node.outputs and leaf(node.outputs[0])):
                self.uses.update(held for tensor in node.inputs if (held := self._leaf(tensor)) is not None)

    def of(self, tensor: Tensor) -> Tensor:
        held = self._leaf(tensor)
        if held is None:
            return tensor
        if self.uses[held] > 1 and sum(dim > 1 for dim in held.shape) == 1:
            return _named(held, tensor)
        if held not in self.own:
            self.own[held] = held if held is tensor else _named(held, tensor)
        return self.own[held]

    def _leaf(self, tensor: Tensor) -> Constant | None:
        if tensor not in self.held:
            self.held[tensor] = leaf(tensor)
        return self.held[tensor]


def _named(held: Constant, tensor: Tensor) -> Constant:
    made = held.copy()
    made.name = tensor.name
    return made


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


def _pin(ties: Ties, tensor: Tensor, reason: str) -> None:
    for site in ties.sites.of(tensor) or ():
        ties.sites.pin(site, reason)
